"""The names of CARLA's `srunner.scenariomanager` that agents import."""
