"""What faults did: histories of writes and what became of them, and what users would have seen."""
