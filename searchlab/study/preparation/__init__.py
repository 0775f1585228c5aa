"""What is checked and loaded before a study begins."""
