"""How settled snapshots leave the machine, where consent says so: leased, looked at, sent over gRPC, acknowledged."""
