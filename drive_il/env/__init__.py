"""The world as a Gymnasium environment: `drive_il/Route-v0`.

Gymnasium reads no entry points any more (its plugins went with version 1.0). It finds the
environment when its id names this module:

    gymnasium.make("drive_il.env:drive_il/Route-v0", town="alder")
    gymnasium.make_vec("drive_il.env:drive_il/Route-v0", num_envs=64)

or, after `import drive_il.env`, by the bare id. Importing this loads no simulator: the classes
are named, and loaded by the first `make`.
"""

from gymnasium.envs.registration import register, registry

from drive_il.env.config import EnvConfig, RewardConfig

__all__ = ["ENV_ID", "EnvConfig", "RewardConfig"]

ENV_ID = "drive_il/Route-v0"

if ENV_ID not in registry:  # a reload finds it there
    register(
        ENV_ID,
        entry_point="drive_il.env.route_env:RouteEnv",
        vector_entry_point="drive_il.env.vector_env:RouteVectorEnv",
    )
