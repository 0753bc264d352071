"""How examples stand in files: as JSON lines and as Markdown, and what is refused or doubted in them."""
