"""Finished models in folders of their own: written, checked, read back, and asked about images."""
