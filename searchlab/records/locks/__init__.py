"""One driver a study: locks that die with their holder."""
