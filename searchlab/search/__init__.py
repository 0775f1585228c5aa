"""What a study may choose from, what proposes its trials, and what stops them."""
