"""From what a criterion found to what a drive is charged with, in words.

Tools that read CARLA's results take numbers out of its messages: places from `(x=..., y=...,
z=...)`, actors from `id=...`, the metres outside the lanes from the word after the eighth, the
speed from the word after the third. Ours have them where CARLA's have them.
"""

from __future__ import annotations

import numpy as np

from drive_il.actors import ActorKind
from drive_il.datatypes import EpisodeSpec
from drive_il.evaluation.infractions import COLLISIONS, Infraction, Kind
from drive_il.evaluation.sight import Finding, Sight
from drive_il.handedness import y_to_carla
from drive_il.maps.network import RoadNetwork

_OF_SIGNALS = (Kind.RED_LIGHT, Kind.STOP_SIGN)


def charge(network: RoadNetwork, spec: EpisodeSpec, sight: Sight, finding: Finding) -> Infraction:
    """Returns the infraction that a finding is.

    Args:
        network: the map.
        spec: of the drive.
        sight: the state in which it was found.
        finding: of one row of the sight.
    """
    row, scene = finding.row, sight.scene
    here = float(sight.x[row]), float(sight.y[row])
    x, y = here if finding.place is None else finding.place
    z, step = float(scene.ego["z"][row]), int(scene.step[row])
    other = finding.other
    if finding.kind in _OF_SIGNALS:
        other = int(network.signals["id"][finding.other])
    text = _what(spec, sight, finding, other)
    if finding.kind != Kind.MIN_SPEED and finding.kind != Kind.OUTSIDE_LANES:
        text += f" at (x={x:.3f}, y={y_to_carla(y):.3f}, z={z:.3f})"
    value = finding.share if finding.kind == Kind.OUTSIDE_LANES else finding.value
    return Infraction(finding.kind, step, step * scene.dt, x, y, z, other, value, text)


def _what(spec: EpisodeSpec, sight: Sight, finding: Finding, other: int) -> str:
    kind, value = finding.kind, finding.value
    if kind in COLLISIONS:
        return f"Ego ran into type={_type(sight, finding)} and id={other}"
    if kind == Kind.OUTSIDE_LANES:
        share = f"({finding.share:.2f}% of what it completed)"
        return f"Ego was outside its route's lanes for about {value:.3f} meters {share}"
    if kind == Kind.MIN_SPEED:
        return f"Mean speed was {value:.2f}% of that of the traffic around"
    if kind == Kind.SCENARIO_TIMEOUT:
        return f"Scenario {spec.route.scenarios[finding.other].name} ran out of time"
    if kind == Kind.DEVIATION:
        return f"Ego left its route, {value:.2f} meters away from it"
    if kind == Kind.TIMEOUT:
        return f"Route timed out after {value:.2f} seconds"
    return {
        Kind.RED_LIGHT: f"Ego passed red light {other}",
        Kind.STOP_SIGN: f"Ego did not halt at stop sign id={other}",
        Kind.YIELD: f"Ego did not let by the emergency vehicle id={other}",
        Kind.BLOCKED: "Ego stood still for too long",
    }[kind]


def _type(sight: Sight, finding: Finding) -> str:
    """Returns the type of what was run into, in CARLA's manner."""
    if finding.kind == Kind.PEDESTRIAN:
        return "walker.pedestrian"
    if finding.other == 0:
        return "static.scenery"
    actors = sight.scene.actors
    vehicles = actors.vehicles[actors.world[finding.row]]
    slots = np.flatnonzero(vehicles["id"] == finding.other)
    kind = ActorKind(int(vehicles["kind"][slots[0]])) if len(slots) else ActorKind.CAR
    return "static.prop" if kind == ActorKind.PROP else f"vehicle.{kind.name.lower()}"
