"""The names of CARLA's `agents.navigation` that agents import."""
