"""searchlab from Python: what ``import searchlab`` offers."""
