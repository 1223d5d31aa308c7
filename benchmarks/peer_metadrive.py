"""Steps MetaDrive without rendering for `peers.py`, in an environment of its own; prints JSON."""

import importlib.metadata
import json
import sys
import time

from metadrive import MetaDriveEnv


def main(n_vehicles: int, seconds: float) -> None:
    env = MetaDriveEnv(
        {
            "use_render": False,
            "image_observation": False,
            "map": "SXSO",
            "traffic_density": 0.01 * n_vehicles,
            "traffic_mode": "respawn",
            "decision_repeat": 1,
            "physics_world_step_size": 0.05,
            "num_scenarios": 1,
            "horizon": 600,
            "log_level": 50,
        }
    )
    env.reset()
    best, steps, counted = 0.0, 0, 0
    for _ in range(3):
        began, done = time.process_time(), 0
        while time.process_time() - began < seconds / 3.0:
            _, _, terminated, truncated, _ = env.step([0.0, 0.1])
            done += 1
            counted += len(env.engine.traffic_manager.traffic_vehicles)
            if terminated or truncated:
                env.reset()
        best = max(best, done / (time.process_time() - began))
        steps += done
    version = importlib.metadata.version("metadrive-simulator")
    vehicles = round(counted / steps)
    print(json.dumps({"rate": best, "vehicles": vehicles, "version": version, "steps": steps}))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
