"""A study's report: one HTML file with figures, which needs no network."""
