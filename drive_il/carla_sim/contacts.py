"""What an ego ran into, as CARLA's collision detector tells it."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from drive_il import handedness
from drive_il.actors import ActorKind, Struck
from drive_il.carla_sim.cast import Cast
from drive_il.datatypes import Records
from drive_il.sim.models import MODELS

_PATIENCE = 0.05  # [s] that a detector has to tell of a contact that can be seen
_WALKER_MASS = 80.0  # [kg]
_GROUND = ("static.sidewalk", "static.road", "static.ground", "static.terrain")


@dataclass(frozen=True)
class Contact:
    """One message of a collision detector.

    Attributes:
        frame: of the tick.
        other: actor, 0 where it is no actor of its own.
        type_id: of the other.
        x: impulse on the ego, our world frame [N s].
        y: [N s].
    """

    frame: int
    other: int
    type_id: str
    x: float
    y: float


class Detector:
    """Collects what a collision detector says; its thread is CARLA's."""

    def __init__(self) -> None:
        self._found: list[Contact] = []
        self._news = threading.Condition()

    def hear(self, event: Any) -> None:
        """Takes a carla.CollisionEvent."""
        other, push = event.other_actor, event.normal_impulse
        id, type_id = (0, "static") if other is None else (other.id, other.type_id)
        one = Contact(event.frame, id, type_id, push.x, handedness.y_from_carla(push.y))
        with self._news:
            self._found.append(one)
            self._news.notify_all()

    def take(self, frame: int, is_sure: bool) -> list[Contact]:
        """Returns and forgets what was told up to a frame; waits a little where one is sure."""
        with self._news:
            if is_sure:
                self._news.wait_for(lambda: any(c.frame == frame for c in self._found), _PATIENCE)
            found = [one for one in self._found if one.frame <= frame]
            self._found = [one for one in self._found if one.frame > frame]
        return found


def write_contact(
    events: Any, ego: Any, contacts: Sequence[Contact], cast: Cast, vehicles: Records, walkers: Any
) -> None:
    """Writes the hardest of some contacts into an EVENTS record.

    The closing speed is the one that an inelastic contact needs for its impulse.

    Args:
        events: EVENTS record, without a contact.
        ego: VEHICLE record.
        contacts: of one step.
        cast: knows whose actor is whose.
        vehicles: (V,) VEHICLE.
        walkers: (P,) WALKER.
    """
    if not contacts:
        return
    one = max(contacts, key=lambda contact: math.hypot(contact.x, contact.y))
    impulse, own = math.hypot(one.x, one.y), float(MODELS["mass"][int(ego["kind"])])
    known, other_mass = cast.who(one.other), np.inf
    events["struck"], events["struck_id"] = int(Struck.STATIC), 0
    events["impulse_x"], events["impulse_y"] = one.x, one.y
    if known is not None:
        slot, walks = known
        body = walkers[slot] if walks else vehicles[slot]
        is_prop = not walks and body["kind"] == ActorKind.PROP
        what = Struck.WALKER if walks else Struck.STATIC if is_prop else Struck.VEHICLE
        events["struck"], events["struck_id"] = int(what), int(body["id"])
        share = 1.0 if walks else 0.5
        events["struck_x"] = ego["x"] + share * (body["x"] - ego["x"])
        events["struck_y"] = ego["y"] + share * (body["y"] - ego["y"])
        if walks:
            other_mass = _WALKER_MASS
        elif cast.has_mass(body):
            other_mass = float(MODELS["mass"][int(body["kind"])])
    else:
        away = 0.5 * float(ego["length"]) / max(impulse, 1e-9)
        events["struck_x"], events["struck_y"] = ego["x"] - away * one.x, ego["y"] - away * one.y
        if one.type_id.startswith(_GROUND):  # a kerb, as an embedded world tells it
            events["impulse_x"] = events["impulse_y"] = 0.0
            events["struck_speed"] = max(float(ego["speed"]), 0.1)
            return
    events["struck_speed"] = impulse / own + (impulse / other_mass)
