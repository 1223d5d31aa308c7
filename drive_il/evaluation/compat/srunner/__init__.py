"""The names of CARLA's `srunner` that agents import."""
