"""Diagnostics: what a study measures on its finished models for its report."""
