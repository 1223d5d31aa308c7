"""Choosing what to learn from: numbers and pictures of a data set, merging, splitting, mending.

Nothing here changes a recorded file. What is made of a data set is a new folder, which appears
whole or not at all; only `repair` works in place, and it moves files, it never deletes one.
"""
