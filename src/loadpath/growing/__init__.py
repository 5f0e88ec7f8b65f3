"""How a database can hold more of the same: words of its schema, its families, statements. Pure."""
