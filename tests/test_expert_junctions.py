"""The expert at junctions: lights, stop signs, oncoming traffic on a left turn, full exits."""

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from drive_il.actors import LightState
from drive_il.datatypes import Array, Records, Route, Start
from drive_il.experts.planner import Planner
from drive_il.geometry import wrap_angle
from drive_il.maps import library
from drive_il.maps.lane_graph import LaneGraph
from drive_il.maps.network import RoadNetwork, SignalKind
from drive_il.maps.routes import RoutePlanner, load_routes
from tests.street import drive_street, on_lanes, stays_put

ROUTES = Path(__file__).parents[1] / "routes"
GREEN, YELLOW, RED, OFF = (
    int(LightState.GREEN),
    int(LightState.YELLOW),
    int(LightState.RED),
    int(LightState.OFF),
)


@dataclass(frozen=True)
class LeftTurn:
    """A left turn and the oncoming way that it crosses.

    Attributes:
        route: of the ego, over the junction.
        lanes: of the oncoming: before, in and behind the junction.
        length: of the lane before [m].
        begin: s on the route where the junction begins [m].
        end: where it ends [m].
    """

    route: Route
    lanes: list[int]
    length: float
    begin: float
    end: float


@cache
def alder() -> RoadNetwork:
    return library.load("alder")


def turn_of(network: RoadNetwork, lane: int) -> tuple[float, float]:
    """Heading at the beginning of a lane, and how much it turns [rad]."""
    first, count = network.lanes["first"][lane], network.lanes["count"][lane]
    a, b = network.points["heading"][[first, first + count - 1]]
    return float(a), float(wrap_angle(float(b - a)))


@cache
def left_turns() -> list[LeftTurn]:
    """Some left turns of alder at whose junction the oncoming come straight on."""
    network, found = alder(), []
    graph, planner = LaneGraph(network), RoutePlanner(network)
    before = {lane: i for i, lanes in enumerate(graph.successors) for lane in lanes}
    for lane in np.flatnonzero(network.lanes["junction"] >= 0).tolist():
        heading, turn = turn_of(network, lane)
        record = network.lanes[lane]
        if turn < 1.0 or lane not in before or len(found) == 3:
            continue
        first = record["conflict_first"]
        for other in network.conflicts["lane"][first : first + record["conflict_count"]].tolist():
            its_heading, its_turn = turn_of(network, other)
            facing = abs(wrap_angle(its_heading - heading)) > 2.6 and abs(its_turn) < 0.3
            length = float(network.lanes["length"][before[other]]) if other in before else 0.0
            if not facing or length < 60.0:
                continue
            places = [(before[lane], -60.0), (graph.successors[lane][0], 40.0)]
            route = planner.plan(np.array([place(network, i, s) for i, s in places]))
            inside = np.flatnonzero(route.points["lane"] == lane)
            if len(inside):
                s = route.points["s"][inside]
                lanes = [before[other], other, graph.successors[other][0]]
                found.append(LeftTurn(route, lanes, length, float(s[0]), float(s[-1])))
                break
    return found


def place(network: RoadNetwork, lane: int, s: float) -> tuple[float, float, float]:
    """A place on a lane, from its end when s is negative."""
    record = network.lanes[lane]
    points = network.points[record["first"] : record["first"] + record["count"]]
    wanted = np.clip(s if s >= 0 else record["length"] + s, 0.0, record["length"] - 1.0)
    point = points[np.searchsorted(points["s"], wanted)]
    return float(point["x"]), float(point["y"]), float(point["z"])


def all_show(state: int) -> Array:
    return np.full(len(alder().signals), state, np.uint8)


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize(("apart", "goes_between"), [(2.0, False), (6.0, True)])
def test_a_left_turn_takes_a_gap_of_6_s_and_refuses_2_s(
    number: int, apart: float, goes_between: bool
) -> None:
    turn = left_turns()[number]
    speed, n = 10.0, round(36.0 / apart)
    start = turn.length - 50.0
    stream = [on_lanes(alder(), turn.lanes, start, speed, apart * k) for k in range(n)]
    run = drive_street(alder(), turn.route, stream, seconds=70.0, lights=lambda t: all_show(GREEN))
    assert run.progress["completed"][-1]
    assert run.gap.min() > 0.5
    across = 0.05 * int(np.argmax(run.progress["s"] > turn.end))
    last_one_there = apart * (n - 1) + 50.0 / speed
    assert (across < last_one_there) == goes_between


def light_of(t: float) -> int:
    """10 s green, 3 s yellow, 12 s red."""
    return GREEN if t % 25.0 < 10.0 else YELLOW if t % 25.0 < 13.0 else RED


@cache
def lit_route() -> tuple[Route, float]:
    """A route over a light, and where its line is."""
    for route in load_routes(ROUTES / "alder_train.xml", library.load):
        lit = route.stops[route.stops["kind"] == SignalKind.LIGHT]
        if len(lit) and lit["s"][0] > 90.0:
            return route, float(lit["s"][0])
    raise AssertionError("alder has no light")


@pytest.mark.parametrize("offset", np.arange(0.0, 25.0, 2.5))
@pytest.mark.parametrize("speed", [3.0, 8.0])
def test_it_never_runs_a_red_light_and_stands_at_its_line(offset: float, speed: float) -> None:
    route, line = lit_route()
    run = drive_street(
        alder(),
        route,
        start=Start(line - 10.0 * speed, 0.0, 0.0, speed),
        seconds=45.0,
        lights=lambda t: all_show(light_of(t + offset)),
    )
    front = run.progress["s"] + 0.5 * run.ego["length"]
    tail = run.progress["s"] - 0.5 * run.ego["length"]
    shows = np.array([light_of(0.05 * step + offset) for step in range(len(front))])
    assert not ((front[:-1] < line) & (front[1:] >= line) & (shows[1:] == RED)).any()
    assert not ((tail[:-1] < line) & (tail[1:] >= line) & (shows[1:] == RED)).any()
    assert run.progress["s"][-1] > line + 20.0  # and it does not stay for ever
    assert run.braking < 4.0
    standing = run.ego["speed"] < 0.01
    if standing.any():
        assert 0.2 < (line - front[standing]).min() < 2.0
    stops = int(np.argmax(standing)) if standing.any() else len(shows)
    still_red = stops + int(np.argmax(np.append(shows[stops:], GREEN) == GREEN))
    stays_put(run.ego[stops:still_red])


@pytest.mark.parametrize(
    ("over", "speed", "light", "goes"),
    [
        (0.01, 0.0, YELLOW, False),  # it has halted a hair too late: it stays
        (0.01, 0.0, RED, False),
        (0.01, 0.0, GREEN, True),
        (0.5, 1.0, YELLOW, False),
        (0.5, 5.0, YELLOW, True),  # soon across
        (3.0, 3.0, YELLOW, True),
        (4.2, 0.0, YELLOW, True),  # its tail is over the line already
        (3.6, 5.0, RED, True),
    ],
)
def test_over_the_line_of_a_light_it_goes_on_only_if_it_gets_across(
    over: float, speed: float, light: int, goes: bool
) -> None:
    route, line = lit_route()
    start = Start(line - 30.0, 0.0, 0.0, speed)
    [scene] = drive_street(alder(), route, start=start, seconds=0.0, keep=True).scenes
    scene.progress["stop_distance"] = -over
    scene.progress["stop_kind"], scene.progress["stop_light"] = SignalKind.LIGHT, light
    control = Planner(network=alder()).control(scene)
    assert control["throttle"][0] > 0.2 if goes else control["throttle"][0] == 0.0


@pytest.mark.parametrize("town", ["alder", "birch"])
def test_it_halts_at_a_stop_sign_and_then_goes(town: str) -> None:
    network = library.load(town)
    routes = load_routes(ROUTES / f"{town}_test.xml", library.load)
    n = 0
    for route in routes:
        stops = route.stops[route.stops["kind"] == SignalKind.STOP]
        if len(stops) == 0 or stops["s"][0] < 40.0 or n == 3:
            continue
        n += 1
        line = float(stops["s"][0])
        run = drive_street(
            network,
            route,
            start=Start(line - 40.0, 0.0, 0.0, 8.0),
            seconds=20.0,
            lights=lambda t: np.full(len(network.signals), OFF, np.uint8),
        )
        front = run.progress["s"] + 0.5 * run.ego["length"]
        before = (front < line) & (front > line - 4.0)
        assert run.ego["speed"][before].min() < 0.1
        assert run.progress["standing"].max() >= 0.4
        assert run.progress["standing"].max() < 2.0
        assert front[-1] > line + 20.0
        assert run.braking < 4.0
    assert n >= 2


def test_it_does_not_enter_a_junction_that_it_cannot_leave() -> None:
    turn = left_turns()[0]
    behind = int(turn.route.points["lane"][-1])
    jam = on_lanes(alder(), [behind], 4.0, 0.0)

    def script(t: float) -> Records:
        return jam(0.0)

    run = drive_street(
        alder(), turn.route, [script], seconds=40.0, lights=lambda t: all_show(GREEN)
    )
    assert run.ego["speed"][-1] < 0.02
    assert run.progress["s"][-1] + 0.5 * run.ego["length"][-1] < turn.begin
    assert not math.isinf(run.gap[-1])
