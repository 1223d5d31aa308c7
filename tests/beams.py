"""Scenes for tests of sensors that send out beams: boxes and walkers far from any map."""

from dataclasses import replace

import numpy as np
from drives import make_scene

from drive_il.actors import WALKER
from drive_il.datatypes import VEHICLE, Actors, Ints, Scene

AWAY = 20_000.0
"""nothing stands here, on any map [m]"""
Box = tuple[float, float, float, float, float, float]
"""x, y [m] and heading [rad] in the ego's frame, length, width, height [m]"""


def boxes_around(
    boxes: list[Box],
    walkers: list[tuple[float, float]] | None = None,
    heading: float = 0.0,
    n_rows: int = 1,
    step: Ints | int = 0,
    seed: Ints | int = 1,
) -> Scene:
    """Rows of the same ego, at AWAY, among vehicles and walkers given in its frame."""
    scene = make_scene(n_rows, seed, step)
    places = [(0.0, 0.0, 0.0, 4.9, 2.1, 1.5), *boxes]
    cos, sin = np.cos(heading), np.sin(heading)
    vehicles = np.zeros((n_rows, len(places)), VEHICLE)
    for k, (x, y, turned, length, width, height) in enumerate(places):
        vehicles[:, k]["x"] = AWAY + cos * x - sin * y
        vehicles[:, k]["y"] = AWAY + sin * x + cos * y
        vehicles[:, k]["heading"] = heading + turned
        vehicles[:, k]["length"], vehicles[:, k]["width"] = length, width
        vehicles[:, k]["height"], vehicles[:, k]["id"] = height, k + 1
    people = np.zeros((n_rows, len(walkers or [])), WALKER)
    for k, (x, y) in enumerate(walkers or []):
        people[:, k]["x"] = AWAY + cos * x - sin * y
        people[:, k]["y"] = AWAY + sin * x + cos * y
        people[:, k]["radius"], people[:, k]["height"] = 0.3, 1.8
        people[:, k]["id"] = 101 + k
    lights = np.zeros((n_rows, 0), np.uint8)
    world, slot = np.arange(n_rows, dtype=np.int32), np.zeros(n_rows, np.int32)
    actors = Actors(vehicles, people, lights, world, slot)
    return replace(scene, ego=vehicles[:, 0].copy(), actors=actors)
