"""Pure functions over records and tables: what changed, which items flipped, what it means."""
