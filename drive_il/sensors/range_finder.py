"""ALVINN's laser range finder: an 8x32 picture of how near things are (Pomerleau 1989).

The scanner looked over 80 degrees by 30 degrees; its picture was reduced to 8 rows of 32.
Here it is a depth picture turned into nearness: 1 at the sensor, 0 from `REACH` on.
"""

from __future__ import annotations

import numpy as np

from drive_il.datatypes import Array, CameraSpec, Records
from drive_il.maps.network import RoadNetwork
from drive_il.sensors.camera import Camera

ROWS, COLUMNS = 8, 32
REACH = 30.0
"""distance along the axis from which on nothing is seen [m]"""
SPEC = CameraSpec("range_finder", "depth", COLUMNS, ROWS, fov=80.0, z=2.0)


class RangeFinder:
    """The scanner, on any ego of one map."""

    def __init__(self, network: RoadNetwork) -> None:
        self._camera = Camera(network, SPEC)

    def scan(self, ego: Records, weather: Records) -> Array:
        """Returns nearness in [0, 1], (N, 8, 32) float32; row 0 is the uppermost.

        Args:
            ego: (N,) VEHICLE.
            weather: (N,) WEATHER; light does not matter to a laser.
        """
        depth = self._camera.render(ego, weather)
        nearness: Array = np.clip(1.0 - depth / np.float32(REACH), 0.0, 1.0).astype(np.float32)
        return nearness
