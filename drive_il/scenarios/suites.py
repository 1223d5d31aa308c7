"""Scenario suites for the shipped towns: `python -m drive_il.scenarios.suites` writes them anew.

Routes are drawn as those of the other suites. Each gets up to three scenarios, a long one up to
eight, rare types first, where the geometry suits them: turns at turns, obstacles on open road. The
seed decides everything.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from drive_il.actors import ScenarioSpec
from drive_il.datatypes import Floats, Route
from drive_il.maps import library
from drive_il.maps.network import RoadNetwork, SignalKind
from drive_il.maps.planning import RoutePlanner
from drive_il.maps.route_files import RouteRecord, write_routes
from drive_il.maps.scenario_files import place_attributes, scenarios_element
from drive_il.maps.suites import draw_route
from drive_il.scenarios.compiling import compile_spec
from drive_il.scenarios.setting import Junction, Misfit, Setting


@dataclass(frozen=True)
class Extent:
    """How large a suite and its routes are.

    Attributes:
        n_routes: routes of a town.
        bounds: of their length [m].
        per_route: scenarios of a route, at most.
    """

    n_routes: int
    bounds: tuple[float, float]
    per_route: int


SHORT = Extent(25, (150.0, 400.0), 3)
LONG = Extent(10, (1000.0, 2200.0), 8)
_DRAWS = 60  # routes tried for one type
_APART = 45.0  # [m] between the end of one scenario and the trigger of the next
_RUN_UP = 25.0  # [m] at least before the first trigger
_BEFORE_TURN = 45.0  # [m] a trigger stands before its junction
_FAST = 17.0  # [m/s] limit of roads where one merges, and beside which nobody walks
_TURNS = math.radians(35.0)
_GAPS = {"source_dist_interval": {"from": "20", "to": "45"}}
_ONCOMING_GAPS = (4.0, 20.0)  # [s] of oncoming traffic, from and to: an obstacle takes 8 to pass
Parameters = Mapping[str, Mapping[str, str]]
Suits = Callable[[Setting], Parameters]


def _value(**values: float | str) -> Parameters:
    return {name: {"value": f"{value}"} for name, value in values.items()}


def _open_road(
    reach: float, two_lanes: bool = False, slow: bool = False, **values: float | str
) -> Suits:
    """On a stretch without a junction, where need be with a second lane of the same way."""

    def suits(setting: Setting) -> Parameters:
        points = setting.route.points
        if slow and setting.limit(setting.s) > _FAST:
            raise setting.misfit("nobody walks or parks beside so fast a road")
        stretch = points[(points["s"] > setting.s - 12.0) & (points["s"] < setting.s + reach)]
        bend = np.abs(stretch["curvature"]).max()
        if stretch["in_junction"].any() or bend > 0.02 or points["s"][-1] < setting.s + reach:
            raise setting.misfit("the road is not open here")
        if two_lanes and max(setting.graph.beside[setting.lane(setting.s + 0.6 * reach)]) < 0:
            raise setting.misfit("there is no second lane")
        return _value(**values)

    return suits


def _oncoming(reach: float, slow: bool = False, **values: float | str) -> Suits:
    """On an open road with oncoming traffic that leaves a gap to pass in now and then."""

    def suits(setting: Setting) -> Parameters:
        found = _open_road(reach, False, slow, **values)(setting)
        speed = 0.8 * setting.limit(setting.s)
        low, high = (f"{gap * speed:.0f}" for gap in _ONCOMING_GAPS)
        return {**found, "frequency": {"from": low, "to": high}}

    return suits


def _turn(setting: Setting, junction: Junction) -> float:
    before = setting.at(junction.begin_s - 1.0)[0, 3]
    after = setting.at(junction.end_s + 1.0)[0, 3]
    return math.remainder(float(after - before), 2.0 * math.pi)


def _kerbside(front: float, behind: float) -> Suits:
    """At the beginning, where a lane to park in runs along the route."""

    def suits(setting: Setting) -> Parameters:
        found = _open_road(
            front + 30.0, slow=True, front_vehicle_distance=front, behind_vehicle_distance=behind
        )(setting)
        if setting.parking_lane(setting.s + front + 4.0, left=False) is None:
            raise setting.misfit("nobody parks beside the route here")
        if setting.room_behind() < behind + 4.0:
            raise setting.misfit("there is no room behind its beginning")
        return found

    return suits


def _junction(way: str, lights: bool | None = None, **values: float | str) -> Suits:
    """Before a junction in which the ego turns that way, with or without lights."""

    def suits(setting: Setting) -> Parameters:
        junction = setting.junction(reach=_BEFORE_TURN + 5.0)
        turn = _turn(setting, junction)
        kinds = {"left": turn > _TURNS, "right": turn < -_TURNS, "straight": abs(turn) < _TURNS}
        kinds |= {"turn": abs(turn) >= _TURNS, "any": True}
        stops = setting.route.stops
        near = stops[np.abs(stops["s"] - junction.begin_s) < 12.0]
        lit = bool((setting.network.signals["kind"][near["signal"]] == SignalKind.LIGHT).any())
        fine = setting.s > junction.begin_s - _BEFORE_TURN - 5.0
        if not kinds[way] or not fine or (lights is not None and lit != lights):
            raise setting.misfit("the junction is of another sort")
        return _value(**values)

    return suits


def _flow(begin: Floats, end: Floats, **values: float) -> Parameters:
    places = {
        "start_actor_flow": place_attributes(begin),
        "end_actor_flow": place_attributes(end),
    }
    return {**_value(**values), **places}


def _next_lane(left: bool, share: float) -> Suits:
    """A flow runs on the lane beside, into which the route changes later."""

    def suits(setting: Setting) -> Parameters:
        graph, side = setting.graph, 0 if left else 1
        # Those of a slow flow begin so far in front that the ego comes among them.
        ahead = 60.0 * (1.0 - share)
        begin = setting.at(setting.s + ahead, setting.same_way(setting.s, left))[0]
        lane = graph.beside[setting.lane(setting.s)][side]
        end = graph.at(lane, np.array([graph.length[lane] - 2.0]))[0]
        if setting.limit(setting.s) < _FAST or np.hypot(*(end[:2] - begin[:2])) < 100.0:
            raise setting.misfit("the lane beside it is too slow or too short")
        speed = round(share * setting.limit(setting.s), 1)
        return {**_flow(begin[:3], end[:3], flow_speed=speed), **_GAPS}

    return suits


def _across(setting: Setting) -> Parameters:
    _junction("left")(setting)
    lane, _ = setting.crossing(setting.junction(), "opposite")
    path, _ = setting.through(lane, 70.0, 60.0)
    return _flow(path[0, :3], path[-1, :3], flow_speed=round(0.7 * setting.limit(setting.s), 1))


def _slip_road(setting: Setting) -> Parameters:
    if setting.limit(setting.s) < _FAST or setting.route.length < setting.s + 120.0:
        raise setting.misfit("the road is too slow or too short")
    begin = setting.at(setting.s + 15.0, setting.same_way(setting.s, left=False))[0]
    return {"other_actor_location": place_attributes(begin[:3])}


_SUITS: Mapping[str, Suits] = {
    "HighwayExit": _next_lane(left=False, share=0.6),
    "EnterActorFlow": _next_lane(left=True, share=0.7),
    "MergerIntoSlowTraffic": _next_lane(left=True, share=0.3),
    "HighwayCutIn": _slip_road,
    "InterurbanActorFlow": _across,
    "StaticCutIn": _open_road(90.0, distance=45),
    "SignalizedJunctionLeftTurn": _junction("left", True, flow_speed=8),
    "NonSignalizedJunctionLeftTurn": _junction("left", False, flow_speed=8),
    "SignalizedJunctionRightTurn": _junction("right", True, flow_speed=8),
    "NonSignalizedJunctionRightTurn": _junction("right", False, flow_speed=7),
    "OppositeVehicleRunningRedLight": _junction("any", True, direction="right"),
    "OppositeVehicleTakingPriority": _junction("any", False, direction="right"),
    "CrossingBicycleFlow": _junction("turn", flow_speed=4),
    "BlockedIntersection": _junction("turn"),
    "PedestrianCrossing": _junction("any"),
    "VehicleTurningRoute": _junction("turn"),
    "VehicleTurningRoutePedestrian": _junction("turn"),
    "PriorityAtJunction": _junction("any", True),
    "Accident": _open_road(105.0, True, distance=60),
    "ConstructionObstacle": _open_road(105.0, True, distance=60),
    "ParkedObstacle": _open_road(85.0, True, distance=50),
    "HazardAtSideLane": _open_road(100.0, True, distance=45, bicycle_drive_distance=25),
    "AccidentTwoWays": _oncoming(95.0, distance=50),
    "ConstructionObstacleTwoWays": _oncoming(95.0, distance=50),
    "ParkedObstacleTwoWays": _oncoming(80.0, distance=45),
    "HazardAtSideLaneTwoWays": _oncoming(95.0, distance=45, bicycle_drive_distance=20),
    "VehicleOpensDoorTwoWays": _oncoming(85.0, slow=True, distance=50),
    "InvadingTurn": _open_road(85.0, distance=70, offset=0.25),
    "ParkingCutIn": _open_road(75.0, slow=True),
    "DynamicObjectCrossing": _open_road(50.0, slow=True, distance=30),
    "ParkingCrossingPedestrian": _open_road(55.0, slow=True, distance=35),
    "ParkingExit": _kerbside(front=16.0, behind=9.0),
    "HardBreakRoute": _open_road(70.0),
    "ControlLoss": _open_road(80.0),
    "YieldToEmergencyVehicle": _open_road(90.0, True, distance=40),
}
"""Where each type may stand, and its parameters there."""


def make_suite(network: RoadNetwork, seed: int, extent: Extent = SHORT) -> list[RouteRecord]:
    """Draws a suite of routes with scenarios; the same seed gives the same suite.

    Each route is drawn for the type that the suite has least of, and takes others along; a
    type that fits none of many routes is not for this town.
    """
    planner, rng = RoutePlanner(network), np.random.default_rng(seed)
    records: list[RouteRecord] = []
    used: Counter[str] = Counter()
    possible = list(_SUITS)
    while possible and len(records) < extent.n_routes:
        order = sorted(possible, key=lambda kind: (used[kind], float(rng.uniform())))
        for _ in range(_DRAWS):
            record = draw_route(planner, rng, extent.bounds, records)
            if record is None:
                return records
            route = planner.plan(record.keypoints, id=str(len(records)))
            specs = _place(route, network, order, rng, extent.per_route)
            if specs and specs[0].type == order[0]:
                used.update(spec.type for spec in specs)
                extras = (scenarios_element(specs),)
                records.append(replace(record, id=str(len(records)), extras=extras))
                break
        else:
            possible.remove(order[0])
    return records


def _place(
    route: Route,
    network: RoadNetwork,
    order: list[str],
    rng: np.random.Generator,
    at_most: int,
) -> list[ScenarioSpec]:
    """Finds scenarios for one route, the first of the order if any."""
    taken: list[tuple[float, float]] = []
    specs: list[ScenarioSpec] = []
    for kind in order:
        if len(specs) == at_most:
            break
        for s in _triggers(route, kind, rng):
            found = _try(network, route, kind, s, taken)
            if found is not None:
                specs.append(replace(found[0], name=f"{kind}_{len(specs)}"))
                taken.append(found[1])
                break
        if not specs:
            break
    return specs


def _triggers(route: Route, kind: str, rng: np.random.Generator) -> list[float]:
    """Places worth trying: before junctions for what needs one, else anywhere."""
    if kind == "ParkingExit":
        return [0.0]
    inside = route.points["in_junction"]
    begins = route.points["s"][1:][inside[1:] & ~inside[:-1]] - _BEFORE_TURN
    some = rng.uniform(_RUN_UP, max(route.length - 50.0, _RUN_UP + 1.0), 8)
    at_junction = _SUITS[kind].__qualname__.startswith("_junction") or kind == "InterurbanActorFlow"
    return [s for s in (begins if at_junction else some).tolist() if s >= _RUN_UP]


def _try(
    network: RoadNetwork, route: Route, kind: str, s: float, taken: list[tuple[float, float]]
) -> tuple[ScenarioSpec, tuple[float, float]] | None:
    """Makes a scenario at s unless it does not suit or comes too close to another."""
    bare = Setting(network, route, ScenarioSpec(kind, kind, 0.0, 0.0, 0.0, 0.0), s)
    x, y, z, heading = bare.at(s)[0].tolist()
    spec = ScenarioSpec(kind, kind, x, y, z, heading)
    try:
        setting = Setting(network, route, spec, s)
        spec = replace(spec, parameters=_SUITS[kind](setting))
        scripts = compile_spec(network, route, spec, s)
    except Misfit:
        return None
    end = max((float(one.record["end_s"][0]) for one in scripts), default=s)
    begin = s - 10.0
    if any(begin < high + _APART and low < end + _APART for low, high in taken):
        return None
    return spec, (begin, end)


def main() -> None:
    """Writes the scenario suites of the shipped towns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("towns", nargs="*", default=["alder", "birch", "cedar", "dell"])
    parser.add_argument("--out", type=Path, default=Path("routes"), help="folder to write to")
    arguments = parser.parse_args()
    for town in arguments.towns:
        network = library.load(town)
        suites = {"scenarios": make_suite(network, seed=3)}
        if town != "dell":  # one road has no long ways
            suites["long_scenarios"] = make_suite(network, 6, LONG)
        for name, records in suites.items():
            path = arguments.out / f"{town}_{name}.xml"
            write_routes(path, records)
            print(f"wrote {path}")


if __name__ == "__main__":
    main()
