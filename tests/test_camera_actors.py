"""Actors, lights and signs in the cameras: pinhole projection, occlusion, ids, lamps."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from drive_il.actors import WALKER, ActorKind, LightState, VehicleLight
from drive_il.datatypes import VEHICLE, Actors, Array, Ints, Records, default_weather
from drive_il.maps import library
from drive_il.maps.network import RoadNetwork, SignalKind
from drive_il.sensor_specs import CameraSpec
from drive_il.sensors.camera import Camera
from drive_il.sensors.tags import GROUND_TAGS, OF_ACTOR, OF_GROUND, OF_PRISM, Tag
from tests.roads import straight_road

STRAIGHT = straight_road()
SPEC = CameraSpec(width=320, height=240, x=0.0, z=1.5)
FOCAL = 160.0
EGO = (100.0, -1.75)
TAGS = (Tag.CAR, Tag.CAR, Tag.TRUCK, Tag.BUS, Tag.MOTORCYCLE, Tag.BICYCLE, Tag.DYNAMIC)


def vehicle(
    ahead: float,
    left: float = 0.0,
    kind: ActorKind = ActorKind.PROP,
    size: tuple[float, float, float] = (2.0, 2.0, 2.0),
    lights: int = 0,
    heading: float = 0.0,
) -> Records:
    made = np.zeros(1, VEHICLE)
    made["x"], made["y"], made["heading"] = EGO[0] + ahead, EGO[1] + left, heading
    made["length"], made["width"], made["height"] = size
    made["kind"], made["lights"], made["id"] = kind, int(lights), 1
    made["r"], made["g"], made["b"] = 30, 90, 200
    return made


def walker(ahead: float, left: float, id: int = 500) -> Records:
    made = np.zeros(1, WALKER)
    made["x"], made["y"] = EGO[0] + ahead, EGO[1] + left
    made["radius"], made["height"], made["id"] = 0.3, 1.8, id
    return made


def around(
    *vehicles: Records, walkers: Records | None = None, lights: Ints | None = None
) -> Actors:
    """One world: the ego in slot 0, then these, whose ids count from 300."""
    everyone = np.concatenate([vehicle(0.0, size=(4.5, 1.9, 1.5)), *vehicles])
    everyone["id"][1:] = 300 + np.arange(len(vehicles))
    people = np.zeros(0, WALKER) if walkers is None else walkers
    states = np.zeros(0, np.uint8) if lights is None else lights
    nought = np.zeros(1, np.int32)
    return Actors(everyone[None], people[None], states[None], nought, nought)


def see(
    actors: Actors, kind: str, network: RoadNetwork = STRAIGHT, night: bool = False, **change: float
) -> Array:
    ego = actors.vehicles[actors.world, actors.slot]
    weather = default_weather(len(ego))
    if night:
        weather["sun_altitude_angle"] = -30.0
    camera = Camera(network, replace(SPEC, kind=kind, **change))  # type: ignore[arg-type]
    return camera.render(ego, weather, actors)


def ids(picture: Array) -> Ints:
    return picture[..., 1].astype(int) + 256 * picture[..., 2].astype(int)


def test_a_box_covers_the_pixels_that_pinhole_projection_says() -> None:
    # The rear of a 2 m cube is 9 m before the camera; it stands on the ground 1.5 m below it.
    tags = see(around(vehicle(10.0)), "semantic")[0]
    rows, columns = np.nonzero(tags == Tag.DYNAMIC)
    scale = FOCAL / 9.0
    assert columns.min() == pytest.approx(160.0 - scale, abs=1.0)
    assert columns.max() + 1 == pytest.approx(160.0 + scale, abs=1.0)
    assert rows.min() == pytest.approx(120.0 - 0.5 * scale, abs=1.0)
    assert rows.max() + 1 == pytest.approx(120.0 + 1.5 * scale, abs=1.0)
    assert len(rows) == (columns.max() + 1 - columns.min()) * (rows.max() + 1 - rows.min())
    depth = see(around(vehicle(10.0)), "depth")[0]
    np.testing.assert_allclose(depth[rows[rows > 113], columns[rows > 113]], 9.0, rtol=1e-6)


@pytest.mark.parametrize("kind", list(ActorKind)[:4])
@pytest.mark.parametrize("heading", [0.0, math.pi / 2, math.pi, 0.7])
def test_a_vehicle_fills_its_box_and_nothing_else(kind: ActorKind, heading: float) -> None:
    size = (6.0, 2.2, 2.4)
    car = vehicle(14.0, 1.0, kind, size, heading=heading)
    box = vehicle(14.0, 1.0, ActorKind.PROP, size, heading=heading)
    seen = see(around(car), "semantic")[0] == OF_ACTOR[kind]
    whole = see(around(box), "semantic")[0] == Tag.DYNAMIC
    # Wheel rims and roofs may not poke out by more than a pixel.
    grown = np.zeros_like(whole)
    for di in (-1, 0, 1):
        for dj in (-1, 0, 1):
            grown |= np.roll(whole, (di, dj), (0, 1))
    assert not (seen & ~grown).any()
    assert seen.sum() > 0.6 * whole.sum()
    for axis in (0, 1):
        outer, inner = np.flatnonzero(whole.any(axis)), np.flatnonzero(seen.any(axis))
        assert abs(inner[0] - outer[0]) <= 3
        assert abs(inner[-1] - outer[-1]) <= 3


def test_what_is_nearer_hides_what_is_further_in_any_slot() -> None:
    near, far = vehicle(10.0, 0.8), vehicle(20.0, 0.0)
    for actors, front, back in ((around(near, far), 300, 301), (around(far, near), 301, 300)):
        seen = ids(see(actors, "instance")[0])
        middle = see(actors, "depth")[0]
        assert (seen == front).any()
        assert (seen == back).any()
        np.testing.assert_allclose(middle[(seen == front)].min(), 9.0, rtol=1e-6)
        np.testing.assert_allclose(middle[(seen == back)].min(), 19.0, rtol=1e-6)
        assert seen[118, 155] == front  # both lie there


@pytest.mark.parametrize("kind", list(ActorKind))
def test_instance_pictures_hold_tag_and_id(kind: ActorKind) -> None:
    walkers = walker(8.0, -2.5, id=40_000)
    picture = see(around(vehicle(10.0, 0.0, kind), walkers=walkers), "instance")[0]
    mine = set(np.unique(picture[ids(picture) == 300][:, 0]).tolist())
    rider = {int(Tag.RIDER)} if kind in (ActorKind.MOTORCYCLE, ActorKind.BICYCLE) else set()
    assert mine == {int(TAGS[kind])} | rider
    assert np.unique(picture[ids(picture) == 40_000][:, 0]).tolist() == [Tag.PEDESTRIAN]
    assert set(np.unique(ids(picture)).tolist()) == {0, 300, 40_000}
    actors = around(vehicle(10.0, 0.0, kind), walkers=walkers)
    np.testing.assert_array_equal(picture[..., 0], see(actors, "semantic")[0])


def test_a_walker_stands_as_tall_as_he_is() -> None:
    tags = see(around(walkers=walker(10.0, 0.0)), "semantic")[0]
    rows = np.flatnonzero((tags == Tag.PEDESTRIAN).any(axis=1))
    assert rows.min() == pytest.approx(120.0 - 0.3 * FOCAL / 10.0, abs=1.0)
    assert rows.max() + 1 == pytest.approx(120.0 + 1.5 * FOCAL / 10.0, abs=1.5)


def test_empty_slots_the_ego_and_other_levels_are_not_drawn() -> None:
    empty, bridge = vehicle(10.0, -1.5), vehicle(10.0, 1.5)
    bridge["z"] = 6.0
    actors = around(empty, bridge)
    actors.vehicles["id"][0, 1] = 0
    seen = see(actors, "instance")[0]
    assert not ids(seen).any()
    # From behind and above the ego itself is there, by its own row alone.
    camera = Camera(STRAIGHT, replace(SPEC, kind="semantic", x=-8.0, z=3.0))
    behind = camera.render(actors.vehicles[0, :1], default_weather(1))[0]
    assert (behind == Tag.DYNAMIC).any()


def red(picture: Array) -> Array:
    colors = picture.astype(int)
    return (colors[..., 0] > 200) & (colors[..., 1] < 90) & (colors[..., 2] < 90)


def amber(picture: Array) -> Array:
    r, g, b = (picture[..., k].astype(int) for k in range(3))
    return (r > 220) & (g > 0.5 * r) & (g < 0.72 * r) & (b < 0.4 * r)  # markings are yellower


@pytest.mark.parametrize("kind", [k for k in ActorKind if k <= ActorKind.MOTORCYCLE])
@pytest.mark.parametrize(("width", "height"), [(320, 240), (96, 64)])
def test_brake_lights_and_indicators_shine(kind: ActorKind, width: int, height: int) -> None:
    size = (4.5, 1.9, 1.6)
    lights = VehicleLight.BRAKE | VehicleLight.LEFT_BLINKER
    change = {"width": width, "height": height}
    on = see(around(vehicle(15.0, 0.0, kind, size, lights)), "rgb", **change)[0]
    off = see(around(vehicle(15.0, 0.0, kind, size)), "rgb", **change)[0]
    assert red(on).any()
    assert not red(off).any()
    assert amber(on).any()
    assert not amber(off).any()
    assert np.flatnonzero(amber(on).any(0)).max() < width / 2  # on its left
    front = see(around(vehicle(15.0, 0.0, kind, size, lights, math.pi)), "rgb", **change)[0]
    assert not red(front).any()
    assert np.flatnonzero(amber(front).any(0)).min() > width / 2


def approach(town: str, distance: float) -> tuple[RoadNetwork, Records, int]:
    """An ego before the first stop line of a town that a light guards."""
    network = library.load(town)
    guarded = network.signals["kind"][network.stop_lines["signal"]] == SignalKind.LIGHT
    line = network.stop_lines[guarded][0]
    heading = float(network.signals["heading"][line["signal"]])
    ego = np.zeros(1, VEHICLE)
    ego["x"] = (line["x0"] + line["x1"]) / 2 - distance * math.cos(heading)
    ego["y"] = (line["y0"] + line["y1"]) / 2 - distance * math.sin(heading)
    ego["heading"] = heading
    return network, ego, int(line["signal"])


def lit(picture: Array) -> dict[LightState, int]:
    """Pixels in each of the colours of a lamp."""
    r, g, b = (picture[..., k].astype(int) for k in range(3))
    return {
        LightState.RED: int(((r > 200) & (g < 80) & (b < 80)).sum()),
        LightState.YELLOW: int(((r > 210) & (g > 0.7 * r) & (b < 0.22 * r)).sum()),  # no marking
        LightState.GREEN: int(((r < 90) & (g > 190) & (b < 170)).sum()),
    }


@pytest.mark.parametrize("night", [False, True], ids=["day", "night"])
@pytest.mark.parametrize("distance", [3.0, 20.0])
@pytest.mark.parametrize("town", ["alder", "birch"])
def test_a_driver_sees_what_his_light_shows(town: str, distance: float, night: bool) -> None:
    network, ego, signal = approach(town, distance)
    camera = Camera(network, CameraSpec())
    weather = default_weather(1)
    weather["sun_altitude_angle"] = -30.0 if night else 60.0
    nought = np.zeros(1, np.int32)
    for state in LightState:
        lights = np.full((1, len(network.signals)), LightState.OFF, np.uint8)
        lights[0, signal] = state
        actors = Actors(ego[None], np.zeros((1, 0), WALKER), lights, nought, nought)
        seen = lit(camera.render(ego, weather, actors)[0])
        for color, n_pixels in seen.items():
            assert (n_pixels >= 3) if color == state else (n_pixels == 0), (state, seen)


def test_signs_hang_beside_the_road_in_their_shapes() -> None:
    network = library.load("alder")
    for kind, tag in ((SignalKind.STOP, Tag.TRAFFIC_SIGN), (SignalKind.SPEED, Tag.TRAFFIC_SIGN)):
        signal = network.signals[network.signals["kind"] == kind][0]
        heading = float(signal["heading"])
        ego = np.zeros(1, VEHICLE)
        ego["x"] = signal["x"] - 10.0 * math.cos(heading)
        ego["y"] = signal["y"] - 10.0 * math.sin(heading)
        ego["heading"] = heading
        spec = CameraSpec(width=320, height=240, fov=40.0, kind="semantic", x=0.0)
        sign = Camera(network, spec).render(ego, default_weather(1))[0] == tag
        pieces, _ = ndimage.label(sign)
        sign = pieces == np.bincount(pieces[sign]).argmax()  # others hang further away
        rows, columns = np.nonzero(sign)
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        share = sign.sum() / (height * width)
        assert width == pytest.approx(height, abs=2)
        # An octagon fills 0.83 of its square, a disc 0.79.
        assert share == pytest.approx(0.828 if kind == SignalKind.STOP else 0.785, abs=0.04)


def test_night_is_darker_and_lamps_are_not() -> None:
    lights = VehicleLight.BRAKE
    actors = around(vehicle(12.0, 0.0, ActorKind.CAR, (4.5, 1.9, 1.5), lights))
    day, night = see(actors, "rgb")[0], see(actors, "rgb", night=True)[0]
    body = see(actors, "semantic")[0] == Tag.CAR
    lamps = red(day) & red(night)
    assert lamps.sum() > 8
    np.testing.assert_allclose(night[lamps].astype(int), day[lamps].astype(int), atol=12)
    assert night[body & ~lamps].mean() < 0.7 * day[body & ~lamps].mean()
    plain = around(vehicle(12.0, 0.0, ActorKind.CAR, (4.5, 1.9, 1.5), heading=math.pi))
    bright = see(plain, "rgb", night=True)[0].min(axis=-1) > 200
    assert bright.sum() > 8  # head lamps, on by themselves at night


def test_the_sun_throws_shadows_and_clouds_do_not() -> None:
    actors, nobody = around(vehicle(12.0)), around()
    ground = ~np.isin(see(actors, "semantic")[0], [Tag.DYNAMIC])
    with_it, without = see(actors, "rgb")[0].astype(int), see(nobody, "rgb")[0].astype(int)
    darker = (with_it.sum(-1) < without.sum(-1) - 20) & ground
    assert darker.sum() > 20
    assert not ((with_it != without).any(-1) & ground & ~darker & (with_it > without).any(-1)).any()


def town_scene(n_rows: int) -> tuple[RoadNetwork, Records, Actors]:
    """Worlds full of all kinds in all directions, some of them shared by several egos."""
    network = library.load("alder")
    rng = np.random.default_rng(5)
    n_worlds = n_rows - n_rows // 3
    lanes = network.lanes[network.lanes["type"] == 1]
    starts = network.points[lanes["first"] + lanes["count"] // 2][
        rng.integers(len(lanes), size=n_worlds)
    ]
    vehicles, walkers = np.zeros((n_worlds, 14), VEHICLE), np.zeros((n_worlds, 6), WALKER)
    for array, reach in ((vehicles, 25.0), (walkers, 15.0)):
        array["x"] = starts["x"][:, None] + rng.normal(0.0, reach, array.shape)
        array["y"] = starts["y"][:, None] + rng.normal(0.0, reach, array.shape)
        array["heading"] = rng.uniform(-3.1, 3.1, array.shape)
        array["id"] = 1 + np.arange(array.shape[1])
        array["r"], array["g"] = 200, 90
    vehicles["kind"] = rng.integers(0, 7, vehicles.shape)
    vehicles["length"], vehicles["width"], vehicles["height"] = 5.0, 2.0, 1.8
    vehicles["lights"] = rng.integers(0, 2048, vehicles.shape)
    walkers["radius"], walkers["height"], walkers["speed"] = 0.3, 1.7, 1.2
    lights = rng.integers(0, 5, (n_worlds, len(network.signals))).astype(np.uint8)
    world = (np.arange(n_rows) % n_worlds).astype(np.int32)
    slot = rng.integers(0, 3, n_rows).astype(np.int32)
    return network, vehicles[world, slot], Actors(vehicles, walkers, lights, world, slot)


@pytest.mark.parametrize("kind", ["rgb", "depth", "semantic", "instance"])
def test_both_paths_draw_the_same_actors(kind: str) -> None:
    network, ego, actors = town_scene(12)
    weather = default_weather(12)
    weather["fog_density"][::3] = 40.0
    weather["sun_altitude_angle"][::4] = -20.0
    spec = CameraSpec(kind=kind, width=160, height=96, fov=100.0, yaw=0.2, y=0.3)
    fast = Camera(network, spec).render(ego, weather, actors)
    exact = Camera(network, spec, exact=True).render(ego, weather, actors)
    np.testing.assert_array_equal(fast, exact)


def test_a_picture_depends_on_its_own_world_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    network, ego, actors = town_scene(48)
    camera = Camera(network, CameraSpec())
    together = camera.render(ego, default_weather(48), actors)
    order = np.random.default_rng(0).permutation(48)
    mixed = replace(actors, world=actors.world[order], slot=actors.slot[order])
    np.testing.assert_array_equal(
        camera.render(ego[order], default_weather(48), mixed), together[order]
    )
    for row in (0, 31, 47):
        one = np.array([row])
        alone = camera.render(ego[one], default_weather(1), actors.take(one))
        np.testing.assert_array_equal(alone[0], together[row])
    monkeypatch.setenv("DRIVE_IL_THREADS", "1")
    np.testing.assert_array_equal(camera.render(ego, default_weather(48), actors), together)


@pytest.mark.parametrize("kind", ["rgb", "depth", "semantic", "instance"])
@pytest.mark.parametrize("width", [640, 641])
@pytest.mark.parametrize("exact", [False, True], ids=["level path", "general path"])
def test_threads_share_a_large_picture_without_a_seam(
    exact: bool, width: int, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, ego, actors = town_scene(2)
    weather = default_weather(2)
    weather["fog_density"][1] = 30.0
    camera = Camera(network, CameraSpec(kind=kind, width=width, height=800, y=-1.5), exact)
    monkeypatch.setenv("DRIVE_IL_THREADS", "1")
    alone = camera.render(ego, weather, actors)
    for threads in ("3", "11"):  # two bands of each picture, five
        monkeypatch.setenv("DRIVE_IL_THREADS", threads)
        np.testing.assert_array_equal(camera.render(ego, weather, actors), alone)


@pytest.mark.parametrize("kind", ["rgb", "instance"])
def test_bgra_is_the_same_picture(kind: str) -> None:
    network, ego, actors = town_scene(4)
    spec = CameraSpec(kind=kind, width=101, height=60)
    picture = Camera(network, spec).render(ego, default_weather(4), actors)
    bgra = Camera(network, spec, as_bgra=True).render(ego, default_weather(4), actors)
    np.testing.assert_array_equal(bgra[..., 2::-1], picture)
    assert (bgra[..., 3] == 255).all()


def test_a_pitched_camera_sees_a_box_where_geometry_says() -> None:
    # The middle of a low box 10 m ahead: a camera that looks down at it has it in its middle.
    pitch = -math.atan2(1.5 - 0.25, 10.0)
    low = vehicle(10.0, size=(0.8, 0.8, 0.5))
    tags = see(around(low), "semantic", pitch=pitch)[0]
    rows, columns = np.nonzero(tags == Tag.DYNAMIC)
    assert rows.mean() == pytest.approx(119.5, abs=1.5)
    assert columns.mean() == pytest.approx(159.5, abs=0.5)


def test_tags_are_carlas() -> None:
    carla = pytest.importorskip("carla")
    labels = carla.CityObjectLabel.names
    names = {
        Tag.ROAD: "Roads",
        Tag.SIDEWALK: "Sidewalks",
        Tag.BUILDING: "Buildings",
        Tag.POLE: "Poles",
        Tag.TRAFFIC_LIGHT: "TrafficLight",
        Tag.TRAFFIC_SIGN: "TrafficSigns",
        Tag.VEGETATION: "Vegetation",
        Tag.TERRAIN: "Terrain",
        Tag.SKY: "Sky",
        Tag.PEDESTRIAN: "Pedestrians",
        Tag.RIDER: "Rider",
        Tag.CAR: "Car",
        Tag.TRUCK: "Truck",
        Tag.BUS: "Bus",
        Tag.MOTORCYCLE: "Motorcycle",
        Tag.BICYCLE: "Bicycle",
        Tag.DYNAMIC: "Dynamic",
        Tag.ROAD_LINE: "RoadLines",
    }
    assert {int(tag): int(labels[name]) for tag, name in names.items()} == {int(t): t for t in Tag}
    assert len(OF_ACTOR) == len(ActorKind)
    assert len(OF_GROUND) == len(GROUND_TAGS)
    assert OF_PRISM[max(OF_PRISM)] == Tag.TRAFFIC_LIGHT


def test_actors_of_other_egos_are_refused() -> None:
    ego, weather, camera = vehicle(0.0), default_weather(1), Camera(STRAIGHT, CameraSpec())
    actors = around()
    with pytest.raises(ValueError, match="one world and slot for each of 1 egos"):
        camera.render(ego, weather, replace(actors, world=np.zeros(2, np.int32)))
    with pytest.raises(ValueError, match=r"actors.world must be in \[0, 1\)"):
        camera.render(ego, weather, replace(actors, world=np.ones(1, np.int32)))
    with pytest.raises(ValueError, match="VEHICLE"):
        camera.render(ego, weather, replace(actors, vehicles=np.zeros((1, 2), WALKER)))


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("kind", ["rgb", "depth", "semantic", "instance"])
def test_some_rows_are_those_of_the_whole_picture(kind: str, exact: bool) -> None:
    lamps = VehicleLight.BRAKE | VehicleLight.POSITION
    car = vehicle(12.0, 1.0, ActorKind.CAR, (4.4, 1.9, 1.5), lights=lamps)
    actors = around(car, vehicle(7.0, -2.0), walkers=walker(9.0, 3.0))
    ego, weather = actors.vehicles[actors.world, actors.slot], default_weather(1)
    weather["sun_altitude_angle"] = -10.0
    spec, rows = replace(SPEC, kind=kind), (90, 150)
    whole = Camera(library.load("alder"), spec, exact).render(ego, weather, actors)
    part = np.full_like(whole, 7)
    some = Camera(library.load("alder"), spec, exact, rows=rows)
    some.render(ego, weather, actors, part)
    np.testing.assert_array_equal(part[:, slice(*rows)], whole[:, slice(*rows)])
    assert (part[:, : rows[0]] == 7).all()
    assert (part[:, rows[1] :] == 7).all()
    assert len(np.unique(whole[:, slice(*rows)])) > 3
