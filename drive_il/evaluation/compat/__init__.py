"""The import names that CARLA agents expect, and the agent's side of its process.

This folder goes last on the path of the agent's process, so that CARLA's own packages come
first where they are. Python >= 3.7 and numpy only, nothing of drive_il.
"""
