"""Files that survive kill -9: written whole, synced, then renamed into place."""
