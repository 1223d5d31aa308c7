"""The names of CARLA's `leaderboard` that agents import."""
