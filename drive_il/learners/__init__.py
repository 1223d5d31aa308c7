"""Imitation learners: one paper, one file."""
