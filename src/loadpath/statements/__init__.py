"""How the work of a statement grows with the data, and which index would keep it from that. Pure."""
