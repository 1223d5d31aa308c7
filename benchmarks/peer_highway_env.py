"""Steps highway-env for `peers.py`, in an environment of its own; prints JSON."""

import importlib.metadata
import json
import sys
import time

import gymnasium
import highway_env  # noqa: F401  registers its environments


def main(n_vehicles: int, seconds: float) -> None:
    env = gymnasium.make(
        "highway-v0",
        config={
            "vehicles_count": n_vehicles,
            "lanes_count": 4,
            "simulation_frequency": 20,
            "policy_frequency": 20,
            "duration": 30,
            "vehicles_density": 1.0,
            "offscreen_rendering": True,
        },
    )
    env.reset(seed=0)
    best, steps = 0.0, 0
    for _ in range(3):
        began, done = time.process_time(), 0
        while time.process_time() - began < seconds / 3.0:
            _, _, terminated, truncated, _ = env.step(1)  # IDLE
            done += 1
            if terminated or truncated:
                env.reset()
        best = max(best, done / (time.process_time() - began))
        steps += done
    version = importlib.metadata.version("highway-env")
    vehicles = len(env.unwrapped.road.vehicles) - 1
    print(json.dumps({"rate": best, "vehicles": vehicles, "version": version, "steps": steps}))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
