"""What lies on the disk: run directories, their seals, the cache, and how they get there whole."""
