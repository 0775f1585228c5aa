"""What a study leaves in its database and its run folder, and who may write it."""
