"""Conditions: NoCrash and CoRL2017 drive every route among several crowds and in several weathers.

The papers' tables have a row for each crowd, and columns for the town and the set of weathers, as
training or new. A route driven under a condition is a route of its own, named after all three:
"7_dense_WetSunset" is route 7 among the dense crowd in that weather.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from drive_il import weathers
from drive_il.datatypes import Route
from drive_il.evaluation.protocol import Protocol

OWN_WEATHER = "own"
"""in place of a weather's name: the route file says it"""


@dataclass(frozen=True)
class Condition:
    """What a route is driven under.

    Attributes:
        crowd: who else is there, as `--traffic` has it.
        weather: a preset by CARLA's name, or `OWN_WEATHER`.
    """

    crowd: str
    weather: str


def conditions(protocol: Protocol, traffic: str) -> list[Condition]:
    """Returns the conditions of a run, crowd by crowd; none where the protocol has none.

    Args:
        protocol: the rules.
        traffic: as `--traffic` has it; "protocol" stands for all crowds of the protocol.
    """
    if not protocol.weathers:
        return []
    names = dict.fromkeys(name for group in protocol.weathers.values() for name in group)
    crowds = list(protocol.crowds) if traffic == "protocol" else [traffic]
    return [Condition(crowd, name) for crowd in crowds for name in names]


def under(routes: Sequence[Route], found: Sequence[Condition]) -> list[Route]:
    """Returns every route under every condition, condition by condition.

    A route that brings weather of its own is driven in that one alone.
    """
    made: dict[str, Route] = {}
    for condition in found:
        for route in routes:
            if len(route.weathers):
                name, weather, at = OWN_WEATHER, route.weathers, route.weather_at
            else:
                name = condition.weather
                weather, at = weathers.preset(name), np.zeros(1)
            id = f"{route.id}_{condition.crowd}_{name}"
            made.setdefault(id, replace(route, id=id, weathers=weather, weather_at=at))
    return list(made.values())


def parts_of(protocol: Protocol, id: str) -> tuple[str, Condition | None]:
    """Returns the id that a route has in its file, and the condition it is driven under.

    The condition is None where the protocol has none or the route was not driven under any.
    """
    parts = id.rsplit("_", 2)
    known = {OWN_WEATHER, *(name for group in protocol.weathers.values() for name in group)}
    if not protocol.weathers or len(parts) < 3 or parts[2] not in known:
        return id, None
    return parts[0], Condition(parts[1], parts[2])


def weather_set(protocol: Protocol, weather: str) -> str:
    """Returns which of the protocol's sets of weathers a weather is of, itself where of none."""
    return next((name for name, group in protocol.weathers.items() if weather in group), weather)
