"""The team's end: takes snapshots over gRPC, keeps each exactly once, forgets what is to be forgotten."""
