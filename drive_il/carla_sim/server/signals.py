"""Traffic lights and signs as actors: where they stand, and in which volume they bind."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from drive_il.carla_sim.server.actors import Actor, Box
from drive_il.carla_sim.server.frames import Pose, Transform, transform_of
from drive_il.datatypes import Floats, Ints, Records
from drive_il.maps.network import RoadNetwork, SignalKind
from drive_il.sim.lights import phases_of

_DEPTH = 1.5  # [m] half length of a trigger volume along the lane
_BEFORE = 2.0  # [m] from the stop line back to the middle of the volume
_HIGH = 1.5  # [m] its half height
_NEAR = 5.0  # [m] a vehicle's front this close before a stop line is at its light
_QUARTER = math.pi / 2.0
_TYPES = {
    SignalKind.LIGHT: "traffic.traffic_light",
    SignalKind.STOP: "traffic.stop",
    SignalKind.YIELD: "traffic.yield",
}
_TAGS = {SignalKind.LIGHT: b"\x07"}
_SIGN_TAG = b"\x08"


def signal_actors(network: RoadNetwork, first_id: int) -> list[Actor]:
    """Returns an actor for each light and sign that says something to drivers.

    Lights and signs to stop or yield have the volume before their stop lines, as wide as their
    lanes; its x axis runs across the road, as in CARLA's towns. Without a stop line there is
    no actor. A sign of a speed limit has a small volume where it stands.

    Args:
        network: the map.
        first_id: of the first, who follow get the next ones.
    """
    found: list[Actor] = []
    for index, signal in enumerate(network.signals):
        kind = SignalKind(int(signal["kind"]))
        lines = network.stop_lines[network.stop_lines["signal"] == index]
        if kind == SignalKind.OTHER or (kind != SignalKind.SPEED and not len(lines)):
            continue
        type_id = _TYPES.get(kind) or f"traffic.speed_limit.{round(signal['value'] * 3.6)}"
        transform, box = _volume(network, signal, lines)
        found.append(
            Actor(
                first_id + len(found),
                type_id,
                {"role_name": ""},
                transform,
                box=box,
                tags=_TAGS.get(kind, _SIGN_TAG),
                signal=index,
            )
        )
    return found


def _volume(network: RoadNetwork, signal: Any, lines: Records) -> tuple[Transform, Box]:
    """Where a signal stands and the box in which it binds, relative to that."""
    if not len(lines):
        pose = Pose(
            float(signal["x"]), float(signal["y"]), float(signal["z"]), float(signal["heading"])
        )
        return transform_of(pose), ((0.0, 0.0, _HIGH), (2.0, 2.0, _HIGH), (0.0, 0.0, 0.0))
    point = _point(network, lines[0])
    heading, z = float(point["heading"]), float(point["z"])
    # The lines of one approach lie side by side; those of another would widen the box.
    along = np.array([_point(network, line)["heading"] for line in lines])
    lines = lines[np.cos(along - heading) > 0.7]
    forward = np.array([math.cos(heading), math.sin(heading)])
    right = np.array([math.sin(heading), -math.cos(heading)])
    ends = np.concatenate(
        [np.stack((lines["x0"], lines["y0"]), 1), np.stack((lines["x1"], lines["y1"]), 1)]
    )
    where = np.array([signal["x"], signal["y"]])
    across, ahead = (ends - where) @ right, (ends - where) @ forward
    half = 0.5 * float(across.max() - across.min())
    middle, before = 0.5 * float(across.max() + across.min()), float(ahead.min()) - _BEFORE
    pose = Pose(float(where[0]), float(where[1]), z, heading - _QUARTER)
    # Seen from the actor, which faces to the right of the road: x to the right of the lanes,
    # y (right of that, in CARLA's frame) back along them.
    return transform_of(pose), (
        (middle, -before, _HIGH),
        (half, _DEPTH, _HIGH),
        (0.0, 0.0, 0.0),
    )


def _point(network: RoadNetwork, line: Any) -> Any:
    lane = network.lanes[line["lane"]]
    points = network.points[lane["first"] : lane["first"] + lane["count"]]
    return points[min(int(np.searchsorted(points["s"], line["s"])), len(points) - 1)]


def light_groups(network: RoadNetwork) -> dict[int, tuple[int, list[int]]]:
    """Returns junction (index into the cycles) and all lights of the junction, by light."""
    phases = phases_of(network)
    groups = {}
    for junction in range(len(phases.first) - 1):
        low, high = phases.first[junction], phases.first[junction + 1]
        members = phases.signals[phases.signal_first[low] : phases.signal_first[high]].tolist()
        groups.update({signal: (junction, members) for signal in members})
    return groups


class StopLines:
    """Which light a vehicle is at.

    Args:
        network: the map.
    """

    def __init__(self, network: RoadNetwork) -> None:
        self._signal = np.full(len(network.lanes) + 1, -1)
        self._s = np.zeros(len(network.lanes) + 1)
        is_light = network.signals["kind"][network.stop_lines["signal"]] == SignalKind.LIGHT
        for line in network.stop_lines[is_light]:
            self._signal[line["lane"]], self._s[line["lane"]] = line["signal"], line["s"]

    def at(self, vehicles: Records) -> Ints:
        """Returns the light whose stop line is just before each vehicle, -1 none, (N,)."""
        lane = vehicles["lane"]  # -1 finds the last entry, which has no light
        gap = self._s[lane] - vehicles["lane_s"] - 0.5 * vehicles["length"]
        near = (gap < _NEAR) & (gap > -vehicles["length"])
        return np.where(near, self._signal[lane], -1)


class SpeedLimits:
    """Which speed limit holds where a vehicle is.

    Args:
        network: the map.
    """

    def __init__(self, network: RoadNetwork) -> None:
        self._network = network

    def of(self, vehicles: Records) -> Floats:
        """Returns the limit of each vehicle, NaN off the lanes, (N,) [km/h]."""
        lane = vehicles["lane"]
        lanes = self._network.lanes[lane]
        share = np.clip(vehicles["lane_s"] / np.maximum(lanes["length"], 1e-6), 0.0, 1.0)
        point = lanes["first"] + (share * (lanes["count"] - 1)).astype(np.int64)
        limits = np.round(self._network.points["speed_limit"][point] * 3.6, 2)
        return np.where(lane >= 0, limits, np.nan)


def opendrive_id(network: RoadNetwork, signal: int) -> bytes:
    """Returns a signal's name in the OpenDRIVE file."""
    return str(int(network.signals["id"][signal])).encode()[:32]
