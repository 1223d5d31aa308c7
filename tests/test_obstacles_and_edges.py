"""What an ego runs into, goes up and crosses: closed forms."""

import math
from typing import Any

import numpy as np
import pytest

from drive_il.actors import EVENTS, WALKER, ActorKind, Gait, Mover, Struck
from drive_il.datatypes import CONTROL, VEHICLE, EpisodeSpec, Records, Start
from drive_il.maps.network import MarkType
from drive_il.sim import World
from drive_il.sim.collisions import meet_obstacles, meet_vehicles, meet_walkers
from drive_il.sim.edges import edges_of
from drive_il.sim.models import MODELS
from drive_il.sim.obstacles import OBSTACLE, in_grid
from drive_il.sim.vehicle import standing
from tests.roads import ring_road, straight_road
from tests.test_world import route_along, wander

ROAD = straight_road(200.0)
ALONG = route_along(ROAD, 0)
ROLL = np.array([(0.3, 0.0, 0.0)], CONTROL)


def ego_at(x: float, y: float, heading: float, speed: float) -> Records:
    """One ego, (1,) VEHICLE."""
    ego = standing(1)
    ego["x"], ego["y"], ego["heading"], ego["speed"] = x, y, heading, speed
    return ego


def wall(x: float, y: float, length: float, width: float) -> Records:
    """One box along the x axis, (1,) OBSTACLE."""
    box = np.zeros(1, OBSTACLE)
    box["x"], box["y"], box["length"], box["width"] = x, y, length, width
    box["radius"] = 0.5 * math.hypot(length, width)
    return box


def hit(ego: Records, box: Records) -> Any:
    events = np.zeros(1, EVENTS)
    meet_obstacles(ego[0], in_grid(box), MODELS, events[0])
    return events[0]


def test_into_a_wall_at_10_m_per_s() -> None:
    ego = ego_at(-0.5 * 4.9 - 2.0 + 0.3, 0.0, 0.0, 10.0)
    events = hit(ego, wall(0.0, 0.0, 4.0, 30.0))
    assert events["struck"] == Struck.STATIC
    assert events["struck_id"] == 0
    assert events["struck_speed"] == pytest.approx(10.0)
    assert events["impulse_x"] == pytest.approx(-15000.0, rel=1e-6)  # 1500 kg
    assert ego["speed"][0] == pytest.approx(0.0, abs=1e-6)
    assert ego["x"][0] == pytest.approx(-2.0 - 0.5 * 4.9)  # put back: it only touches
    assert events["struck_x"] == pytest.approx(-2.0)


def test_along_a_wall_an_ego_keeps_what_points_along_it() -> None:
    angle = math.radians(20.0)
    ego = ego_at(
        0.0, -1.0 - 0.5 * (4.9 * math.sin(angle) + 2.0 * math.cos(angle)) + 0.1, angle, 8.0
    )
    events = hit(ego, wall(0.0, 0.0, 60.0, 2.0))
    assert events["struck_speed"] == pytest.approx(8.0 * math.sin(angle))
    # Rolling wheels keep the share of the remaining velocity along the heading.
    assert ego["speed"][0] == pytest.approx(8.0 * math.cos(angle) ** 2)
    assert ego["x"][0] == pytest.approx(0.0)  # pushed out across the wall only


def test_a_wall_that_is_not_touched_does_nothing() -> None:
    ego = ego_at(0.0, -1.0 - 1.0 - 0.01, 0.0, 8.0)
    assert hit(ego, wall(0.0, 0.0, 60.0, 2.0))["struck"] == Struck.NOTHING
    assert ego["speed"][0] == 8.0


def test_every_cell_lists_all_that_an_ego_in_it_can_touch() -> None:
    rng = np.random.default_rng(4)
    boxes = np.concatenate(
        [wall(*rng.uniform(-60, 60, 2), *rng.uniform(0.2, 15, 2)) for _ in range(60)]
    )
    grid = in_grid(boxes)
    for _ in range(2000):
        ego = ego_at(*rng.uniform((-70, -70, -3, 1), (70, 70, 3, 9)).tolist())
        alone = [hit(ego.copy(), boxes[k : k + 1])["struck"] for k in range(len(boxes))]
        events = np.zeros(1, EVENTS)
        meet_obstacles(ego[0], grid, MODELS, events[0])
        assert (events["struck"][0] != 0) == any(alone)


@pytest.mark.parametrize("kind", [ActorKind.CAR, ActorKind.TRUCK, ActorKind.BICYCLE])
def test_a_vehicle_hit_from_behind_shares_the_momentum(kind: ActorKind) -> None:
    model = MODELS[int(kind)]
    vehicles = np.zeros(2, VEHICLE)
    other = vehicles[1]
    for name in ("length", "width", "kind"):
        other[name] = model[name]
    other["id"], other["mover"] = 2, Mover.TRAFFIC
    ego = ego_at(-0.5 * (4.9 + model["length"]) + 0.2, 0.0, 0.0, 12.0)
    events = np.zeros(1, EVENTS)
    meet_vehicles(ego[0], 0, vehicles, MODELS, events[0])
    common = 12.0 * 1500.0 / (1500.0 + model["mass"])
    assert events["struck"][0] == Struck.VEHICLE
    assert events["struck_id"][0] == 2
    assert events["struck_speed"][0] == pytest.approx(12.0)
    assert ego["speed"][0] == pytest.approx(common)
    assert other["speed"] == pytest.approx(common)


def test_a_walker_is_put_aside_and_slows_the_car_a_little() -> None:
    walkers = np.zeros(1, WALKER)
    walkers["id"], walkers["radius"], walkers["x"] = 7, 0.3, 0.5 * 4.9 + 0.2
    walkers["gait"] = Gait.CROSSING
    ego, events = ego_at(0.0, 0.0, 0.0, 8.0), np.zeros(1, EVENTS)
    meet_walkers(ego[0], walkers, events[0])
    assert events["struck"][0] == Struck.WALKER
    assert events["struck_id"][0] == 7
    assert events["struck_speed"][0] == pytest.approx(8.0)
    assert ego["speed"][0] == pytest.approx(8.0 * 1500.0 / 1580.0)
    assert walkers["x"][0] == pytest.approx(0.5 * 4.9 + 0.3)


def drift(angle: float, lateral: float, steps: int) -> tuple[list[Records], list[Records]]:
    """Egos and events of a car that rolls straight across the lane, step after step."""
    world = World(ROAD, 1, [ALONG])
    start = Start(s=60.0, lateral_error=lateral, heading_error=angle, speed=8.0)
    world.reset(np.array([0]), [EpisodeSpec(ALONG, start=start)])
    egos, events = [world.scene.ego.copy()], []
    for _ in range(steps):
        world.step(ROLL)
        egos.append(world.scene.ego.copy())
        events.append(world.scene.events[0].copy())
    return egos, events


def side_y(ego: Records, u: float, v: float) -> float:
    """World y of a place on the ego."""
    heading = float(ego["heading"][0])
    return float(ego["y"][0] + math.sin(heading) * u + math.cos(heading) * v)


def test_markings_are_reported_in_the_step_in_which_a_corner_passes_them() -> None:
    """To the left over the broken middle line (y = 0) and the oncoming lane's edge (y = 3.5)."""
    egos, events = drift(math.radians(12.0), 0.0, 120)
    for k, (before, after) in enumerate(zip(egos[:-1], egos[1:], strict=True)):
        expected = {1.0: 0, -1.0: 0}
        for side in (1.0, -1.0):
            for u in (0.5 * 4.9, -0.5 * 4.9):
                y0, y1 = side_y(before, u, side), side_y(after, u, side)
                for line, kind in (
                    (0.0, MarkType.BROKEN),
                    (3.5, MarkType.SOLID),
                    (4.5, MarkType.CURB),
                ):
                    if y0 < line <= y1 and expected[side] == 0:
                        expected[side] = int(kind)
        assert events[k]["left_mark"] == expected[1.0], k
        assert events[k]["right_mark"] == expected[-1.0], k
    assert {int(event["left_mark"]) for event in events} >= {0, 1, 2, 9}


def test_a_wheel_that_goes_up_the_kerb_is_a_contact_in_that_step_alone() -> None:
    """To the right; the sidewalk begins at y = -4.5."""
    angle = math.radians(10.0)
    egos, events = drift(-angle, 0.0, 140)
    climbs = []
    for k, (before, after) in enumerate(zip(egos[:-1], egos[1:], strict=True)):
        wheel = float(after["rear_wheelbase"][0])
        passed = [
            side_y(before, u, v) >= -4.5 > side_y(after, u, v)
            for u in (wheel, -wheel)
            for v in (1.0, -1.0)
        ]
        assert (events[k]["struck"] == Struck.STATIC) == any(passed), k
        if any(passed):
            climbs.append(k)
            assert events[k]["struck_id"] == 0
            speed = float(after["speed"][0])
            assert events[k]["struck_speed"] == pytest.approx(speed * math.sin(angle), rel=1e-6)
    assert len(climbs) == 4  # each wheel in a step of its own
    free = World(ROAD, 1, [ALONG])
    free.reset(np.array([0]), [EpisodeSpec(ALONG, start=Start(s=60.0, speed=8.0))])
    for _ in range(140):
        free.step(ROLL)
    assert egos[-1]["speed"][0] == pytest.approx(free.scene.ego["speed"][0])  # kept


def test_within_its_lane_an_ego_crosses_nothing() -> None:
    egos, events = drift(0.0, 0.3, 100)
    assert all(event["left_mark"] == event["right_mark"] == 0 for event in events)
    assert all(event["struck"] == 0 for event in events)
    assert egos[-1]["x"][0] > egos[0]["x"][0] + 30.0


def test_the_shortcut_for_those_within_their_lane_hides_no_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ring = ring_road(50.0, lanes_per_way=2)
    edges = edges_of(ring)
    blind = edges.margins.copy()
    blind["free"] = -1.0
    routes = [route_along(ring, lane, f"ring{lane}") for lane in (0, 1, 4, 5)]
    seen: list[list[bytes]] = []
    for table in (edges, edges._replace(margins=blind)):
        monkeypatch.setattr("drive_il.sim.world.edges_of", lambda _, table=table: table)
        world = World(ring, 64, routes)
        rng = np.random.default_rng(2)
        specs = [
            EpisodeSpec(
                routes[row % 4],
                seed=row,
                start=Start(
                    s=float(rng.uniform(0, 250)),
                    lateral_error=float(rng.normal(0, 0.6)),
                    speed=float(rng.uniform(0, 20)),
                ),
            )
            for row in range(64)
        ]
        world.reset(np.arange(64), specs)
        seen.append([])
        for _ in range(200):
            world.step(wander(world.scene))
            seen[-1].append(world.scene.events.tobytes())
        assert (edges.margins["free"] > 1.0).any()
    assert seen[0] == seen[1]
