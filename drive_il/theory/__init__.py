"""Bounds on compounding errors and the estimators of what they need."""
