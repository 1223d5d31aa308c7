"""The names of CARLA's `agents.tools` that agents import."""
