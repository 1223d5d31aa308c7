"""The names of CARLA's `agents` that agents import."""
