"""Scoring files by the run that an alias points to: jobs, workers, and the folders that show them."""
