"""The scenarios of CARLA's files, read and written.

Leaderboard 2.x declares them inside a route: `<scenario name type>` with a `<trigger_point
x y z yaw/>` and parameters, each `value=`, `from= to=`, or a place `x= y= z=`. Leaderboard
1.0 lists them for whole towns in one JSON file; each route takes those on its way. Trigger
points are turned into our frame here; parameters stay text until `number`, `interval` or
`place` reads them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from drive_il import handedness
from drive_il.actors import ScenarioSpec
from drive_il.datatypes import Bools, Floats, Route
from drive_il.geometry import project, wrap_angle

TRIGGER_DISTANCE = 2.0
"""a trigger point further beside the route is not met, as in CARLA [m]"""
TRIGGER_ANGLE = math.radians(10.0)
"""a trigger point that is turned further against the route is not met [rad]"""
FAR = 30.0
"""a trigger point further from the route that declares it belongs to another road [m]"""
_NUMBERED = {
    "Scenario1": "ControlLoss",
    "Scenario2": "FollowLeadingVehicle",
    "Scenario3": "DynamicObjectCrossing",
    "Scenario4": "VehicleTurningRoute",
    "Scenario5": "OtherLeadingVehicle",
    "Scenario6": "ManeuverOppositeDirection",
    "Scenario7": "SignalJunctionCrossing",
    "Scenario8": "SignalJunctionCrossing",
    "Scenario9": "SignalJunctionCrossing",
    "Scenario10": "NoSignalJunctionCrossing",
}
"""Leaderboard 1.0's numbers and their names."""
_THEIR_OWN: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "Scenario1": {"noise": {"value": "held"}}
}
"""What is otherwise in leaderboard 1.0's than in 2's of the same name."""


def read_scenarios(extras: Iterable[Element], where: str) -> tuple[ScenarioSpec, ...]:
    """Reads the scenarios of one route.

    Args:
        extras: elements of the route beside its keypoints.
        where: the route's name in messages.

    Raises:
        ValueError: a scenario without name, type or trigger point, or two of one name.
    """
    found: list[ScenarioSpec] = []
    for extra in extras:
        for element in extra.iter("scenario"):
            found.append(_read(element, where, {one.name for one in found}))
    return tuple(found)


def _read(element: Element, where: str, taken: set[str]) -> ScenarioSpec:
    name, kind = element.get("name", ""), element.get("type", "")
    if not name or not kind:
        raise ValueError(f"{where}: a <scenario> lacks its name or type, got {element.attrib}")
    where = f"{where}: scenario {name}"
    if name in taken:
        raise ValueError(f"{where} is declared twice; give each its own name")
    trigger = element.find("trigger_point")
    if trigger is None:
        raise ValueError(f"{where} has no trigger_point; expected <trigger_point x y z yaw/>")
    parameters: dict[str, dict[str, str]] = {}
    for child in element:
        if child.tag != "trigger_point":
            key, n = child.tag, 2
            while key in parameters:  # several other_actors, say
                key, n = f"{child.tag} {n}", n + 1
            parameters[key] = dict(child.attrib)
    return _spec(name, kind, dict(trigger.attrib), where, parameters)


def _spec(
    name: str,
    kind: str,
    trigger: Mapping[str, Any],
    where: str,
    parameters: Mapping[str, Mapping[str, str]],
) -> ScenarioSpec:
    x, y, z, yaw = (_finite(trigger, key, where, 0.0) for key in ("x", "y", "z", "yaw"))
    return ScenarioSpec(
        name=name,
        type=kind,
        x=x,
        y=handedness.y_from_carla(y),
        z=z,
        heading=handedness.heading_from_carla(yaw),
        parameters=parameters,
    )


def _finite(values: Mapping[str, Any], key: str, where: str, default: float | None) -> float:
    text = values.get(key, default)
    try:
        value = float("nan") if text is None else float(text)
    except ValueError:
        value = float("nan")
    if not math.isfinite(value):
        raise ValueError(f"{where}: {key}={text!r} is not a finite number")
    return value


def scenarios_element(specs: Sequence[ScenarioSpec]) -> Element:
    """Returns the `<scenarios>` element of a route, in CARLA's frame."""
    root = Element("scenarios")
    for spec in specs:
        element = SubElement(root, "scenario", {"name": spec.name, "type": spec.type})
        yaw = handedness.heading_to_carla(spec.heading)
        values = (spec.x, handedness.y_to_carla(spec.y), spec.z, yaw)
        texts = {k: repr(round(v, 3)) for k, v in zip(("x", "y", "z", "yaw"), values, strict=True)}
        SubElement(element, "trigger_point", texts)
        for tag, attributes in spec.parameters.items():
            SubElement(element, tag.split(" ")[0], dict(attributes))
    return root


def read_town_scenarios(path: str | Path) -> dict[str, tuple[ScenarioSpec, ...]]:
    """Reads a scenario file of leaderboard 1.0.

    Returns:
        The scenarios of each town, those with the highest number first.

    Raises:
        ValueError: the file is missing, not JSON, or not of that form.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"scenario file {path} does not exist; expected leaderboard 1.0's JSON")
    try:
        towns = json.loads(path.read_text(encoding="utf-8"))["available_scenarios"]
        found: dict[str, list[tuple[int, ScenarioSpec]]] = {}
        for town, kinds in ((name, kinds) for one in towns for name, kinds in one.items()):
            for kind in kinds:
                number = kind["scenario_type"]
                for k, event in enumerate(kind["available_event_configurations"]):
                    name = _NUMBERED.get(number, number)
                    own = _THEIR_OWN.get(number, {})
                    spec = _spec(f"{name}_{k}", name, event["transform"], str(path), own)
                    rank = int(number.removeprefix("Scenario") or 0)
                    found.setdefault(town, []).append((rank, spec))
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"scenario file {path} is not in leaderboard 1.0's form ({error!r}); expected "
            '{"available_scenarios": [{"Town01": [{"scenario_type": "Scenario1", '
            '"available_event_configurations": [...]}]}]}'
        ) from None
    return {
        town: tuple(spec for _, spec in sorted(specs, key=lambda one: -one[0]))
        for town, specs in found.items()
    }


def on_the_way(route: Route, specs: Sequence[ScenarioSpec]) -> tuple[ScenarioSpec, ...]:
    """Returns those scenarios whose trigger points a route meets, in the order it does.

    Of several at one place the first counts, as in leaderboard 1.0.
    """
    if not specs:
        return ()
    s, _, _ = places(route, specs)
    chosen: list[int] = []
    for k in np.flatnonzero(~_missed(route, specs)).tolist():
        if all(abs(s[k] - s[other]) > TRIGGER_DISTANCE for other in chosen):
            chosen.append(k)
    return tuple(specs[k] for k in sorted(chosen, key=lambda k: float(s[k])))


def unreachable(route: Route) -> tuple[ScenarioSpec, ...]:
    """Returns the scenarios of a route that it does not meet; CARLA ignores them."""
    return tuple(route.scenarios[k] for k in np.flatnonzero(_missed(route, route.scenarios)))


def refuse_far(route: Route) -> None:
    """Makes sure that no scenario which a route declares is nowhere near it.

    CARLA ignores such a scenario too. But who declares one within a route means it to happen
    there, and a score without it would be one of another test.

    Raises:
        ValueError: for the first one that is more than `FAR` from it.
    """
    for spec, away in zip(route.scenarios, distances(route, route.scenarios), strict=True):
        if away > FAR:
            raise ValueError(
                f"the trigger point ({spec.x:.1f}, {spec.y:.1f}) of scenario {spec.name} of type "
                f"{spec.type} is {away:.0f} m from route {route.id!r} that declares it, at most "
                f"{FAR:g} m can be a slip; move it onto the route, or take the scenario out"
            )


def distances(route: Route, specs: Sequence[ScenarioSpec]) -> Floats:
    """Returns how far trigger points are from the nearest point of a route, (K,) [m]."""
    line = np.stack((route.points["x"], route.points["y"]), axis=1)
    return np.array([np.hypot(line[:, 0] - one.x, line[:, 1] - one.y).min() for one in specs])


def _missed(route: Route, specs: Sequence[ScenarioSpec]) -> Bools:
    """Whether a route passes trigger points by, or ends before them, (K,)."""
    s, offset, angle = places(route, specs)
    beyond = np.maximum(-s, s - route.length)
    bad = (np.abs(offset) > TRIGGER_DISTANCE) | (beyond > TRIGGER_DISTANCE)
    return np.asarray(bad | (np.abs(angle) > TRIGGER_ANGLE))


def places(route: Route, specs: Sequence[ScenarioSpec]) -> tuple[Floats, Floats, Floats]:
    """Finds trigger points on a route.

    Of several passes by one point the one in its direction counts.

    Returns:
        Where on the route (K,) [m], how far beside it (K,) [m], and how far turned against
        it (K,) [rad].
    """
    line = np.stack((route.points["x"], route.points["y"]), axis=1)
    along, beside, turned = np.zeros(len(specs)), np.zeros(len(specs)), np.zeros(len(specs))
    for k, spec in enumerate(specs):
        angle = np.abs(wrap_angle(route.points["heading"] - spec.heading))
        near = np.hypot(line[:, 0] - spec.x, line[:, 1] - spec.y)
        best = int((near + np.where(angle > math.pi / 4, 1000.0, 0.0)).argmin())
        first, last = max(best - 2, 0), min(best + 3, len(line))
        s, offset, segment = project(np.array([[spec.x, spec.y]]), line[first:last])
        here = route.points[first + int(segment[0])]
        along[k] = here["s"] + (s[0] - _length(line[first : first + int(segment[0]) + 1]))
        beside[k] = offset[0]
        turned[k] = wrap_angle(float(here["heading"]) - spec.heading)
    return along, beside, turned


def _length(line: Floats) -> float:
    return float(np.hypot(*np.diff(line, axis=0).T).sum()) if len(line) > 1 else 0.0


def number(spec: ScenarioSpec, name: str, default: float, low: float = 0.0) -> float:
    """Reads one parameter of the form `value=`.

    Raises:
        ValueError: it is not a finite number, or less than `low`.
    """
    if name not in spec.parameters:
        return default
    value = _finite(spec.parameters[name], "value", f"scenario {spec.name}: {name}", None)
    if value < low:
        raise ValueError(f"scenario {spec.name}: {name} must be at least {low:g}, got {value:g}")
    return value


def interval(spec: ScenarioSpec, name: str, default: tuple[float, float]) -> tuple[float, float]:
    """Reads one parameter of the form `from= to=`, or `value=` for both.

    Raises:
        ValueError: it is no interval of positive numbers.
    """
    if name not in spec.parameters:
        return default
    values, where = spec.parameters[name], f"scenario {spec.name}: {name}"
    if "value" in values:
        low = high = _finite(values, "value", where, None)
    else:
        low, high = _finite(values, "from", where, None), _finite(values, "to", where, None)
    if not 0.0 < low <= high:
        raise ValueError(f"{where} must be 0 < from <= to, got from={low:g} to={high:g}")
    return low, high


def word(spec: ScenarioSpec, name: str, default: str, allowed: Sequence[str] = ()) -> str:
    """Reads one parameter of the form `value=` that is a word.

    Raises:
        ValueError: it is none of the allowed ones.
    """
    value = spec.parameters.get(name, {}).get("value", default)
    if allowed and value not in allowed:
        raise ValueError(
            f"scenario {spec.name}: {name} must be one of {', '.join(allowed)}, got {value!r}"
        )
    return value


def place(spec: ScenarioSpec, name: str) -> Floats | None:
    """Reads a place in our frame, (3,) [m]; None when it is not given.

    Raises:
        ValueError: a coordinate is not a finite number.
    """
    if name not in spec.parameters:
        return None
    values, where = spec.parameters[name], f"scenario {spec.name}: {name}"
    xyz = [_finite(values, key, where, 0.0 if key == "z" else None) for key in "xyz"]
    return handedness.vectors_from_carla(np.array(xyz))


def place_attributes(xyz: Floats) -> dict[str, str]:
    """Returns a place as attributes x, y, z of a parameter, in CARLA's frame."""
    values = handedness.vectors_to_carla(np.asarray(xyz, float)).tolist()
    return {name: repr(round(value, 3)) for name, value in zip("xyz", values, strict=True)}
