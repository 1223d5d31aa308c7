"""Judging drives: criteria, evaluation runs, result files."""
