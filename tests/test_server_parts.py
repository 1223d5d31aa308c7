"""The server's parts without a client: transforms, bytes, the world without an ego."""

import itertools
import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_lane_queries import flyover

from drive_il.actors import ActorKind, Mover, Traffic
from drive_il.carla_sim.server import blueprints, wire
from drive_il.carla_sim.server.episode import FRAMES, Episode
from drive_il.carla_sim.server.frames import (
    Transform,
    composed,
    placed,
    pose_of,
    transform_from_wire,
    transform_of,
    transform_to_wire,
)
from drive_il.carla_sim.server.live_world import LiveWorld
from drive_il.maps import library

NETWORK = library.load("alder")
DT = 0.05
METRES = st.floats(-500.0, 500.0)
ANGLE = st.floats(-179.0, 179.0)
TRANSFORMS = st.tuples(METRES, METRES, METRES, st.floats(-89.0, 89.0), ANGLE, ANGLE)


@given(TRANSFORMS)
def test_transforms_go_there_and_back(transform: Transform) -> None:
    assert transform_of(pose_of(transform)) == pytest.approx(transform, abs=1e-9)
    assert transform_from_wire(transform_to_wire(transform)) == transform


@given(TRANSFORMS, TRANSFORMS, METRES, METRES)
def test_a_composed_transform_carries_points_like_its_parts(
    parent: Transform, child: Transform, x: float, y: float
) -> None:
    at_once = placed((x, y, 1.0), composed(parent, child))
    one_by_one = placed(placed((x, y, 1.0), child), parent)
    assert at_once == pytest.approx(one_by_one, abs=1e-6)


@given(TRANSFORMS)
def test_points_are_where_the_client_puts_them(transform: Transform) -> None:
    carla = pytest.importorskip("carla")
    x, y, z, pitch, yaw, roll = transform
    theirs = carla.Transform(carla.Location(x, y, z), carla.Rotation(pitch, yaw, roll))
    point = theirs.transform(carla.Location(3.0, 2.0, 1.0))
    assert placed((3.0, 2.0, 1.0), transform) == pytest.approx(
        (point.x, point.y, point.z), abs=2e-3
    )


def test_records_have_the_clients_sizes() -> None:
    for dtype in (wire.VEHICLE_STATE, wire.WALKER_STATE, wire.LIGHT_STATE, wire.SIGN_STATE):
        assert dtype.itemsize == 119
    assert len(wire.token(7, 2001)) == 24
    assert struct.unpack_from("<IHBB", wire.token(7, 2001)) == (7, 2001, 1, 0)
    assert wire.token(7, 2001, "10.0.0.9")[8:12] == bytes((10, 0, 0, 9))
    assert wire.framed(b"ab", b"c") == b"\x03\0\0\0abc"
    assert len(wire.header(wire.Payload.RGB, 1, 0.05, (0.0,) * 6)) == 48
    assert len(wire.episode_header(1, 0.0, 0.05)) == 36
    assert wire.from_optional(wire.optional(3)) == 3
    assert wire.from_optional(wire.optional(None)) is None


def test_blueprints_are_complete() -> None:
    names = {one.id for one in blueprints.library().values()}
    for wanted in ("vehicle.tesla.model3", "static.prop.trafficcone01", "sensor.other.imu"):
        assert wanted in names
    camera = {one.id for one in blueprints.library()["sensor.camera.rgb"].attributes}
    assert {"lens_circle_falloff", "fov", "iso", "sensor_tick", "exposure_mode"} <= camera
    assert "dropoff_general_rate" in {
        one.id for one in blueprints.library()["sensor.lidar.ray_cast"].attributes
    }


def car(world: LiveWorld, x: float = 0.0) -> int:
    pose = pose_of((x + 2000.0, 2000.0, 0.0, 0.0, 0.0, 0.0))  # nothing stands there
    return world.spawn_vehicle(ActorKind.CAR, (4.9, 2.0, 1.5), pose, Mover.CONTROL)


@pytest.mark.parametrize("steer", [0.0, 0.3, -0.6])
def test_backwards_runs_along_the_same_circle(steer: float) -> None:
    """A car that goes forwards and then backwards at the same wheel angle retraces its path."""
    world = LiveWorld(NETWORK, 0, Traffic(signals=True))
    slot = world.slot_of(car(world))
    control, order, me = world.controls[slot], world.orders[slot], world.vehicles[slot]
    control["brake"], control["steer"] = 0.0, steer
    order["held"] = True
    for _ in range(80):  # the wheels have turned
        order["pace"] = 0.0
        world.step(DT)
    start = [float(me[name]) for name in ("x", "y", "heading")]
    for pace in (5.0, -5.0):
        order["pace"] = pace
        for _ in range(30):
            world.step(DT)
    assert [float(me[name]) for name in ("x", "y", "heading")] == pytest.approx(start, abs=1e-6)
    assert math.cos(float(me["slip"])) < 0.0


def test_the_throttle_brakes_against_the_motion() -> None:
    world = LiveWorld(NETWORK, 0, Traffic(signals=True))
    number = car(world)
    slot = world.slot_of(number)
    world.set_velocity(number, 10.0, 0.0)
    world.controls[slot]["brake"], world.controls[slot]["throttle"] = 0.0, 0.8
    world.orders[slot]["reverse"] = True
    speeds = []
    for _ in range(80):
        world.step(DT)
        me = world.vehicles[slot]
        speeds.append(float(me["speed"] * math.cos(me["slip"])))
    assert speeds[0] < 10.0
    assert np.all(np.diff(speeds) <= 1e-9)
    assert speeds[-1] < -1.0


def test_slots_are_used_again_and_ids_are_not() -> None:
    world = LiveWorld(NETWORK, 0, Traffic(signals=True))
    ids = []
    for _ in range(50):
        ids.append(car(world))
        world.remove(0, ids[-1])
    assert len(set(ids)) == 50
    assert len(world.vehicles) <= 8


def test_two_cannot_be_in_one_place_in_their_true_size() -> None:
    world = LiveWorld(NETWORK, 0, Traffic(signals=True))
    car(world)
    with pytest.raises(ValueError, match="stands"):
        car(world, 3.0)
    bus = pose_of((2007.0, 2000.0, 0.0, 0.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="stands"):
        world.spawn_vehicle(ActorKind.BUS, (10.27, 3.94, 4.25), bus, Mover.CONTROL)
    assert np.count_nonzero(world.vehicles["id"]) == 1


def test_a_world_nobody_touched_leaves_no_trace_of_the_time_before() -> None:
    def episode() -> Episode:
        traffic = Traffic(vehicles=20, walkers=10, signals=True)
        return Episode(NETWORK, "", 1, 5, traffic, port=1, streams=itertools.count(2))

    one, two = episode(), episode()
    for _ in range(137):
        one.tick(DT, set())
    one.restart()
    two.tick(DT, set())
    two.restart()
    assert one.frame == two.frame == FRAMES
    for _ in range(50):
        ours, theirs = one.tick(DT, set())[0][1], two.tick(DT, set())[0][1]
        clock = slice(4 + 48 + 8, 4 + 48 + 16)  # the wall clock
        assert bytes(ours)[: clock.start] == bytes(theirs)[: clock.start]
        assert bytes(ours)[clock.stop :] == bytes(theirs)[clock.stop :]


def test_who_is_far_below_the_road_is_out_of_the_world() -> None:
    world = LiveWorld(NETWORK, 0, Traffic(signals=True))
    number = car(world)
    hidden = pose_of((2000.0, 2000.0, -500.0, 0.0, 0.0, 0.0))
    world.place(number, hidden, Mover.CONTROL)
    assert car(world) != number  # its place is free
    world.step(DT)
    assert float(world.vehicles["z"][world.slot_of(number)]) == -500.0
    assert world.vehicles["mover"][world.slot_of(number)] == Mover.NOBODY


def test_a_car_under_a_bridge_is_on_the_road_below() -> None:
    world = LiveWorld(flyover(), 0, Traffic(signals=True))
    for height in (0.0, 6.0):
        pose = pose_of((0.0, 0.0, height + 0.3, 0.0, 0.0, 0.0))
        number = world.spawn_vehicle(ActorKind.CAR, (4.9, 2.0, 1.5), pose, Mover.CONTROL)
        vehicle = world.vehicles[world.slot_of(number)]
        assert float(vehicle["z"]) == pytest.approx(height, abs=0.01)
        assert vehicle["mover"] == Mover.CONTROL
