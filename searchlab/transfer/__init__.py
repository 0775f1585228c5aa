"""A study as a whole: copied, exported, imported, deleted."""
