"""Figures as Vega-Lite specifications: plain mappings that any renderer draws alike."""
