"""Drives whoever is called hero, as people do beside CARLA's scenario_runner.

    python foreign_hero.py PORT SPEED

Runs in scenario_runner's environment with CARLA's own agents; ends with the server or when told.
"""

import sys
import time

import carla
from agents.navigation.basic_agent import BasicAgent


def drive(port: int, speed: float) -> None:
    """Keeps looking for a hero and drives it at a speed [km/h]."""
    client = carla.Client("127.0.0.1", port)
    client.set_timeout(20.0)
    agent = hero = None
    while True:
        world = client.get_world()
        if agent is None or hero is None or not hero.is_alive:
            vehicles = world.get_actors().filter("vehicle.*")
            found = [one for one in vehicles if one.attributes.get("role_name") == "hero"]
            agent = hero = None
            if not found:
                time.sleep(0.05)
                continue
            hero = found[0]
            agent = BasicAgent(hero, target_speed=speed)
        try:
            world.wait_for_tick(5.0)
            hero.apply_control(agent.run_step())
        except RuntimeError:
            agent = None  # the scenario is over


if __name__ == "__main__":
    drive(int(sys.argv[1]), float(sys.argv[2]))
