"""Grows a clone of a database, and looks at what its statements do there."""
