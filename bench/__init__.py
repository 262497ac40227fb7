"""corrida measured: against plain Python that does the same writes, and against other trackers."""
