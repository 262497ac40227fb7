"""Pipelines: what can be run. They know nothing of stores; ``execute`` brings the two together."""
