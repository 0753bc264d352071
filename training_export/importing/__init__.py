"""What becomes examples that no editor captured: commits, releases of a package, and files of Zed's tools."""
