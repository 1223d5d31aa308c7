"""The names of CARLA's `leaderboard.utils` that agents import."""
