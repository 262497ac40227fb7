"""What a run remembers of the world it started in: configurations, data, environment, code."""
