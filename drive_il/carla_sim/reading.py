"""From a carla.WorldSnapshot to records of a Scene: the border where CARLA's frame ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from drive_il import handedness
from drive_il.datatypes import Bools, Floats, Ints, Records
from drive_il.geometry import wrap_angle
from drive_il.steering import SLIP_RATIO, STEER_GAIN

_X, _Y, _Z, _YAW, _PITCH, _VX, _VY, _AX, _AY, _TURN = range(10)
_STANDS = 0.05  # [m/s] slower than this the direction of a velocity says nothing


def states_of(snapshot: Any, ids: Sequence[int]) -> tuple[Floats, Bools]:
    """Reads actors out of a snapshot.

    Returns:
        x, y, z [m], heading, pitch [rad], velocity x, y [m/s], acceleration x, y [m/s^2] and
        yaw rate [rad/s] in our world frame, (N, 10); and who is still there, (N,) bool.
    """
    states, there = np.zeros((len(ids), 10)), np.zeros(len(ids), np.bool_)
    for k, id in enumerate(ids):
        one = snapshot.find(id)
        if one is None:
            continue
        there[k] = True
        at, velocity, push = one.get_transform(), one.get_velocity(), one.get_acceleration()
        place, turned = at.location, at.rotation
        states[k] = (
            *(place.x, place.y, place.z, turned.yaw, turned.pitch),
            *(velocity.x, velocity.y, push.x, push.y, one.get_angular_velocity().z),
        )
    for y in (_Y, _VY, _AY):
        states[:, y] = handedness.y_from_carla(states[:, y])
    states[:, _YAW] = handedness.heading_from_carla(states[:, _YAW])
    states[:, _PITCH] = np.deg2rad(states[:, _PITCH])
    states[:, _TURN] = handedness.yaw_rate_from_carla(states[:, _TURN])
    return states, there


def write_vehicles(vehicles: Records, slots: Ints, states: Floats) -> None:
    """Writes what a server says into VEHICLE records; height and pitch are the road's to say.

    CARLA tells no wheel angle: it is the one whose path has the slip that is seen.

    Args:
        vehicles: (V,) VEHICLE.
        slots: which of them, (N,).
        states: of those, see `states_of`.
    """
    speed = np.hypot(states[:, _VX], states[:, _VY])
    moves = speed > _STANDS
    course = np.arctan2(states[:, _VY], states[:, _VX])
    slip = np.where(moves, wrap_angle(course - states[:, _YAW]), vehicles["slip"][slots])
    course = states[:, _YAW] + slip
    along = states[:, _AX] * np.cos(course) + states[:, _AY] * np.sin(course)
    for name, column in (("x", _X), ("y", _Y), ("z", _Z), ("heading", _YAW)):
        vehicles[name][slots] = states[:, column]
    vehicles["speed"][slots], vehicles["slip"][slots] = speed, slip
    vehicles["acceleration"][slots], vehicles["yaw_rate"][slots] = along, states[:, _TURN]
    ahead = np.abs(slip) < 0.25 * np.pi  # backwards the wheels are not what the slip says
    angle = np.arctan(np.tan(np.where(ahead, slip, 0.0)) / SLIP_RATIO)
    vehicles["steering_angle"][slots] = np.clip(angle, -STEER_GAIN, STEER_GAIN)


def write_walkers(walkers: Records, slots: Ints, states: Floats, is_led: Bools) -> None:
    """Writes what a server says into WALKER records.

    Args:
        walkers: (P,) WALKER.
        slots: which of them, (N,).
        states: of those, see `states_of`; CARLA has a walker in its middle.
        is_led: a scenario says how fast they go, and where to, (N,).
    """
    walkers["x"][slots], walkers["y"][slots] = states[:, _X], states[:, _Y]
    walkers["z"][slots] = states[:, _Z] - 0.5 * walkers["height"][slots]
    free = slots[~is_led]
    walkers["heading"][free] = states[~is_led, _YAW]
    walkers["speed"][free] = np.hypot(states[~is_led, _VX], states[~is_led, _VY])
