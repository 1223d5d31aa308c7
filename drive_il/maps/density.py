"""How much traffic is normal on a map."""

from __future__ import annotations

import math

from drive_il.maps.network import LaneType, RoadNetwork

METRES_PER_VEHICLE = 100.0
"""driving lane outside junctions per vehicle at density 1 [m]"""


def vehicle_count(network: RoadNetwork, density: float) -> int:
    """Returns how many vehicles a density means on a map.

    Density 1 is one vehicle per 100 m of driving lane outside junctions, all directions
    counted: 91 in alder, 50 in Town01, 250 in Town04. NoCrash asks for 20 (regular) and 100
    (dense) in Town01; the 120 vehicles for which CARLA's leaderboard 1.0 asks there are
    density 2.4.

    Args:
        network: the map.
        density: >= 0.

    Raises:
        ValueError: for a density that is negative or not finite.
    """
    if not (math.isfinite(density) and density >= 0.0):
        raise ValueError(f"density must be a number >= 0, got {density}; 1 is normal traffic")
    lanes = network.lanes
    counted = (lanes["type"] == LaneType.DRIVING) & (lanes["junction"] < 0)
    return round(density * float(lanes["length"][counted].sum()) / METRES_PER_VEHICLE)
