"""Reproducible claims: one file each, ending in numbers, a plot and a page."""
