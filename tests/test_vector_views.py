"""Observations without pixels: the state vector, nearest actors, lanes, and all agents."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from drive_il import learners
from drive_il.actors import ActorKind, LightState, VehicleLight
from drive_il.datatypes import Array, Scene
from drive_il.maps.network import LaneType, SignalKind
from drive_il.sensor_specs import ObservationSpec, VectorSpec
from drive_il.sensors import agents
from drive_il.sensors.agents import AGENT_NAMES, NEIGHBOUR_NAMES, AgentView
from drive_il.sensors.lane_pieces import LANE_NAMES, lane_pieces
from drive_il.sensors.neighbours import ACTOR_NAMES, nearest_actors
from drive_il.sensors.observer import SceneObserver
from drive_il.sensors.state import STATE_NAMES, state_names, state_vector
from drive_il.sensors.vectors import VectorView
from tests.test_from_above import alone
from tests.towns_with_traffic import town, traffic_scene, turned, vehicle, walker

SPEC = VectorSpec(lanes=24, points=6, actors=12)


def named(values: Array, names: tuple[str, ...]) -> dict[str, float]:
    return {name: float(value) for name, value in zip(names, values, strict=True)}


def state(scene: Scene, n_actors: int = 0) -> dict[str, float]:
    return named(state_vector(scene, np.arange(1), n_actors)[0], state_names(n_actors))


def agent_views(scene: Scene) -> Array:
    return AgentView(town(), 6).look(scene)


LOOKS: dict[str, Callable[[Scene, Array], Array]] = {
    "state": lambda scene, rows: state_vector(scene, rows, 6),
    "actors": lambda scene, rows: nearest_actors(scene, rows, 6)[0],
    "lanes": lambda scene, rows: VectorView(town(), SPEC).look(scene, rows)["lanes"],
    "agents": lambda scene, rows: agent_views(scene)[scene.actors.world[rows]],
}


def test_actors_come_by_distance_in_the_ego_frame() -> None:
    car = vehicle(ActorKind.CAR, 10.0, 2.0, np.pi / 2, 5.0)
    car["lights"] = VehicleLight.BRAKE | VehicleLight.RIGHT_BLINKER
    far = vehicle(ActorKind.BICYCLE, -30.0, 0.0, 0.0, 4.0)
    out_of_sight = vehicle(ActorKind.TRUCK, 150.0, 0.0, 0.0)
    scene = alone([far, out_of_sight, car], [walker(3.0, -4.0, np.pi, 1.5)])
    seen, mask = nearest_actors(scene, np.arange(1), 5)
    assert mask[0].tolist() == [True, True, True, False, False]
    assert (seen[0, 3:] == 0.0).all()
    person, near, rider = (named(seen[0, k], ACTOR_NAMES) for k in range(3))
    assert (person["x"], person["y"]) == pytest.approx((3.0, -4.0), abs=1e-4)
    assert person["velocity_x"] == pytest.approx(-1.5, abs=1e-5)
    assert (person["is_walker"], person["is_car"], person["length"]) == pytest.approx((1, 0, 0.6))
    assert (near["x"], near["y"], near["cos"], near["sin"]) == pytest.approx(
        (10.0, 2.0, 0.0, 1.0), abs=1e-4
    )
    assert (near["velocity_x"], near["velocity_y"]) == pytest.approx((0.0, 5.0), abs=1e-5)
    assert (near["brake_light"], near["left_blinker"], near["right_blinker"]) == (1, 0, 1)
    assert (rider["x"], rider["is_cyclist"], rider["is_car"]) == pytest.approx((-30, 1, 0))
    two, mask = nearest_actors(scene, np.arange(1), 2)
    assert (two[0] == seen[0, :2]).all()
    assert mask.all()


def test_the_state_knows_the_next_stop_line() -> None:
    scene = alone([], [])
    scene.progress["stop_distance"], scene.progress["stop_kind"] = 12.5, SignalKind.LIGHT
    for light, name in ((0, "stop_red"), (1, "stop_yellow"), (2, "stop_green"), (3, "")):
        scene.progress["stop_light"] = light
        seen = state(scene)
        assert seen["stop_distance"] == 12.5
        lit = {key for key in ("stop_red", "stop_yellow", "stop_green") if seen[key]}
        assert lit == ({name} if name else set())
    scene.progress["stop_kind"], scene.progress["stop_light"] = SignalKind.STOP, LightState.OFF
    assert state(scene)["stop_sign"] == 1.0
    scene.progress["stop_served"] = True
    assert state(scene)["stop_sign"] == 0.0
    scene.progress["stop_distance"] = 1000.0
    assert state(scene)["stop_distance"] == 100.0


def test_the_leader_is_the_first_on_the_route() -> None:
    ahead = vehicle(ActorKind.CAR, 20.0, 0.0, 0.0, 7.0)
    further = vehicle(ActorKind.CAR, 28.0, 0.0, 0.0, 3.0)
    beside = vehicle(ActorKind.CAR, 8.0, 3.5, np.pi, 9.0)
    behind = vehicle(ActorKind.CAR, -9.0, 0.0, 0.0, 9.0)
    seen = state(alone([further, beside, behind, ahead], []))
    assert seen["has_leader"] == 1.0
    assert seen["leader_gap"] == pytest.approx(20.0 - 4.7, abs=0.1)  # both are 4.7 m long
    assert seen["leader_speed"] == pytest.approx(7.0, abs=0.01)
    seen = state(alone([beside, behind], []))
    assert (seen["has_leader"], seen["leader_gap"], seen["leader_speed"]) == (0.0, 100.0, 0.0)


def test_the_state_goes_on_with_the_nearest_actors() -> None:
    scene = traffic_scene(3, 5, 0)
    plain, whole = (state_vector(scene, np.arange(3), n) for n in (0, 7))
    assert plain.shape == (3, len(STATE_NAMES))
    assert whole.shape == (3, len(state_names(7)))
    assert (whole[:, : len(STATE_NAMES)] == plain).all()
    around = whole[:, len(STATE_NAMES) :].reshape(3, 7, -1)
    assert around[0, :, 0].tolist() == [1, 1, 1, 1, 1, 0, 0]
    assert (around[:, :, 1:] == nearest_actors(scene, np.arange(3), 7)[0]).all()


def test_lane_pieces_lie_on_their_lanes() -> None:
    network = town()
    pieces = lane_pieces(network, 5)
    lanes = np.flatnonzero(
        np.isin(network.lanes["type"], [LaneType.DRIVING, LaneType.BIKING, LaneType.PARKING])
    )
    assert sorted(set(pieces.lane.tolist())) == lanes.tolist()
    steps = np.linalg.norm(np.diff(pieces.poses[..., :2], axis=1), axis=2).sum(axis=1)
    assert steps.max() < 20.01
    total = np.bincount(pieces.lane, steps, minlength=len(network.lanes))[lanes]
    assert total == pytest.approx(network.lanes["length"][lanes], rel=0.02, abs=0.05)


def test_the_nearest_lane_is_the_one_below_with_its_light_and_route() -> None:
    scene = alone([], [])
    seen = VectorView(town(), SPEC).look(scene, np.arange(1))
    assert seen["lanes"].shape == (1, 24, 6, len(LANE_NAMES))
    assert seen["lanes_mask"].all()
    lanes = seen["lanes"][0]
    on_route = lanes[:, 0, LANE_NAMES.index("on_route")] == 1.0
    ahead = lanes[on_route]
    gap = np.hypot(ahead[..., 0], ahead[..., 1])
    assert gap.min() < 2.5
    # Nearest first, and unit directions of travel; on the route ahead they point forward.
    distance = np.hypot(lanes[..., 0], lanes[..., 1]).min(axis=1)
    assert (np.diff(distance) >= -1e-4).all()
    assert np.hypot(lanes[..., 2], lanes[..., 3]) == pytest.approx(1.0, abs=1e-5)
    near = ahead[gap.min(axis=1).argmin()]
    assert near[:, LANE_NAMES.index("cos")].min() > 0.99
    assert (np.diff(near[:, 0]) > 0.0).all()
    light = int(scene.progress["stop_light"][0])
    flags = [near[0, LANE_NAMES.index(name)] for name in ("red", "yellow", "green")]
    assert flags == [float(light == state) for state in range(3)]
    assert near[0, LANE_NAMES.index("is_driving")] == 1.0
    assert near[0, LANE_NAMES.index("speed_limit")] > 5.0


def test_what_is_not_there_is_masked_and_zero() -> None:
    scene = alone([], [])
    scene.ego["x"] += 20_000.0  # no lane within sight
    seen = VectorView(town(), SPEC).look(scene, np.arange(1))
    assert not seen["lanes_mask"].any()
    assert not seen["actors_mask"].any()
    assert (seen["lanes"] == 0.0).all()
    assert (seen["actors"] == 0.0).all()


def test_every_vehicle_sees_its_lane_and_its_neighbours() -> None:
    scene = traffic_scene(2, 15, 4)
    view = AgentView(town(), 5)
    seen = view.look(scene)
    vehicles = scene.actors.vehicles
    assert seen.shape == (2, 16, len(view.names))
    own = {name: seen[..., k] for k, name in enumerate(AGENT_NAMES)}
    assert (own["is_there"] == 1.0).all()
    assert own["speed"] == pytest.approx(vehicles["speed"], abs=1e-5)
    assert (own["has_lane"] == (vehicles["lane"] >= 0)).all()
    # All but the ego were put onto lane middles, along them (another lane may lie below).
    on_lane = own["has_lane"] == 1.0
    assert np.median(np.abs(own["lateral_error"][on_lane])) < 0.05
    assert own["has_route"].sum() == 2
    way = scene.progress
    assert own["route_lateral_error"][:, 0] == pytest.approx(way["lateral_error"], abs=1e-5)
    each = len(NEIGHBOUR_NAMES)
    first = seen[0, 3, len(AGENT_NAMES) :].reshape(5, each)
    me = vehicles[0, 3]
    xy = np.concatenate(
        [np.stack((a["x"][0], a["y"][0]), 1) for a in (vehicles, scene.actors.walkers)]
    )
    gaps = np.sort(np.hypot(*(xy - (me["x"], me["y"])).T))[1:6]  # without itself
    assert np.hypot(first[:, 1], first[:, 2]) == pytest.approx(gaps, abs=1e-3)


def test_an_agent_on_its_lane_knows_its_errors() -> None:
    scene = alone([], [])
    ego = scene.actors.vehicles
    ego["heading"] += 0.1
    ego["x"] -= 0.4 * np.sin(scene.ego["heading"])
    ego["y"] += 0.4 * np.cos(scene.ego["heading"])
    seen = named(AgentView(town(), 1).look(scene)[0, 0, : len(AGENT_NAMES)], AGENT_NAMES)
    assert seen["lateral_error"] == pytest.approx(0.4, abs=0.01)
    assert seen["heading_error"] == pytest.approx(0.1, abs=0.01)
    assert seen["lane_width"] == pytest.approx(scene.progress["lane_width"][0], abs=0.01)


@pytest.mark.parametrize(
    ("x", "y", "heading", "touching"),
    [
        (4.6, 0.0, 0.0, True),  # 4.7 m long both
        (4.8, 0.0, 0.0, False),
        (0.0, 1.85, 0.0, True),  # 1.9 m wide both
        (0.0, 1.95, 0.0, False),
        (3.25, 0.0, np.pi / 2, True),  # half a length and half a width: 3.3 m
        (3.35, 0.0, np.pi / 2, False),
        (3.2, 2.2, np.pi / 4, True),
        (4.2, 2.8, np.pi / 4, False),  # closer than the circles around them
    ],
)
def test_boxes_touch_or_do_not(x: float, y: float, heading: float, touching: bool) -> None:
    scene = alone([vehicle(ActorKind.CAR, x, y, heading)], [])
    flag = AGENT_NAMES.index("is_touching")
    assert AgentView(town(), 2).look(scene)[0, :, flag].tolist() == [touching, touching]


@pytest.mark.parametrize(("y", "touching"), [(1.2, True), (1.3, False)])
def test_walkers_touch_as_discs(y: float, touching: bool) -> None:
    scene = alone([], [walker(1.0, y)])  # 0.95 m half width and 0.3 m radius
    flag = AGENT_NAMES.index("is_touching")
    assert AgentView(town(), 2).look(scene)[0, 0, flag] == touching


def test_empty_slots_see_nothing_and_are_seen_by_nobody() -> None:
    scene = traffic_scene(1, 6, 0)
    scene.actors.vehicles["id"][0, 2:5] = 0
    seen = AgentView(town(), 8).look(scene)
    assert (seen[0, 2:5] == 0.0).all()
    there = seen[0, 0, len(AGENT_NAMES) :].reshape(8, -1)[:, 0]
    assert there.sum() == 3
    assert agents.RADIUS == 50.0


@pytest.mark.parametrize("name", LOOKS)
def test_rows_do_not_depend_on_each_other(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scene, look = traffic_scene(70, 12, 4), LOOKS[name]
    monkeypatch.setenv("DRIVE_IL_THREADS", "1")
    whole = look(scene, np.arange(70))
    for row in (0, 13, 69):
        assert (look(scene, np.array([row]))[0] == whole[row]).all()
        assert (look(scene.take(np.array([row])), np.arange(1))[0] == whole[row]).all()
    monkeypatch.setenv("DRIVE_IL_THREADS", "2")
    backwards = np.tile(np.arange(70)[::-1], 8)
    assert (look(scene, backwards)[:70][::-1] == whole).all()


def test_turning_the_world_changes_nothing() -> None:
    scene = traffic_scene(4)
    rows = np.arange(4)
    for angle, shift in ((np.pi / 2, (40.0, -16.0)), (1.0, (-300.0, 70.0))):
        other, network = turned(scene, town(), angle, shift)
        pairs = [
            (state_vector(scene, rows, 6), state_vector(other, rows, 6)),
            (agent_views(scene), AgentView(network, 6).look(other)),
        ]
        views = (
            VectorView(town(), SPEC).look(scene, rows),
            VectorView(network, SPEC).look(other, rows),
        )
        for key in ("actors", "actors_mask", "lanes_mask"):
            pairs.append((views[0][key], views[1][key]))
        for one, two in pairs:
            assert one == pytest.approx(two, abs=2e-3)
        # Pieces that are equally near may change places.
        for key in ("red", "on_route", "width"):
            k = LANE_NAMES.index(key)
            one, two = (np.sort(view["lanes"][..., k].sum(axis=2)) for view in views)
            assert np.abs(one - two).max() < 1.1


def test_the_observer_shows_what_the_spec_asks_for() -> None:
    spec = ObservationSpec(
        cameras=(), birdview=True, birdview_actors=True, state=True, state_actors=4, vectors=SPEC
    )
    scene = traffic_scene(2)
    seen = SceneObserver(town(), spec).observe(scene, np.arange(2))
    assert seen["birdview"].shape == (2, 7, 96, 96)
    assert seen["state"].shape == (2, len(state_names(4)))
    assert seen["lanes"].shape == (2, 24, 6, len(LANE_NAMES))
    assert seen["actors"].shape == (2, 12, len(ACTOR_NAMES))
    assert {value.dtype for value in (seen["lanes"], seen["actors"], seen["state"])} == {
        np.dtype(np.float32)
    }
    assert spec.history == 0.0
    assert ObservationSpec(roach=True).history == 1.5


def test_specs_survive_a_model_folder() -> None:
    from dataclasses import asdict
    from json import dumps, loads

    for spec in (ObservationSpec(vectors=SPEC, roach=True), ObservationSpec()):
        assert learners._observation(loads(dumps(asdict(spec)))) == spec
    older = {"cameras": [], "range_finder": False, "birdview": True, "state": False}
    assert learners._observation(older) == ObservationSpec(cameras=(), birdview=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VectorSpec(points=1), "vectors.points must be in"),
        (lambda: VectorSpec(lanes=0), "vectors.lanes must be in"),
        (lambda: ObservationSpec(state=True, state_actors=-1), "state_actors must be in"),
        (lambda: ObservationSpec(state_actors=3), "ask for state=True too"),
        (lambda: ObservationSpec(birdview_actors=True), "ask for birdview=True too"),
        (lambda: AgentView(town(), 0), "n_neighbours must be at least 1"),
    ],
)
def test_impossible_specs_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_taking_the_other_ego_of_a_world_swaps_who_is_seen() -> None:
    scene = alone([vehicle(ActorKind.CAR, 10.0, 2.0, 0.0)], [])
    actors = replace(scene.actors, slot=np.ones(1, np.int32))
    other = replace(scene, actors=actors, ego=scene.actors.vehicles[:, 1].copy())
    seen = nearest_actors(other, np.arange(1), 1)[0][0, 0]
    assert seen[:2] == pytest.approx((-10.0, -2.0), abs=1e-3)
