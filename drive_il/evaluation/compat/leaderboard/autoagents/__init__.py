"""The names of CARLA's `leaderboard.autoagents` that agents import."""
