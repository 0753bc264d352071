"""Loopback HTTP surfaces: for editors that speak no LSP to us."""
