"""What a study may choose from, and the points of it that trials are."""
