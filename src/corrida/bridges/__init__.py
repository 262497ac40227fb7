"""Ways between runs and the systems of others."""
