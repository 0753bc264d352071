"""How a model runs best on this machine: measured once by `foretype model tune`, kept, and used from then on."""
