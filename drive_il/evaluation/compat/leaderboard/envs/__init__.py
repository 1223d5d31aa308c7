"""The names of CARLA's `leaderboard.envs` that agents import."""
