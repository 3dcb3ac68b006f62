"""Everything that touches files: journals, the lock, the snapshot, the loss notes. One module, one file format."""
