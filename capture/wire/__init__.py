"""Generated from proto/snapshots.proto; `make wire` makes it anew."""
