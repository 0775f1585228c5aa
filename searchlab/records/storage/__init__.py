"""Where studies are recorded: opening a storage, and keeping a study whole when it fails."""
