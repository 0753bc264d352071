"""How settled snapshots leave the machine, where consent says so: leased from the store, sent over gRPC, acknowledged."""
