"""How the work of statements grows with the data, and which index keeps it from that. Pure."""
