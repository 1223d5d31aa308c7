"""Our harness on a CARLA server: ours, through the real client, beside the embedded world."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from carla_server import Served, free_port, serving, synchronous

from drive_il.actors import ActorKind, LightState, Mover, ScenarioSpec, Spawn, Struck, Traffic
from drive_il.datatypes import CONTROL, EpisodeSpec, Outcome, Route, Start
from drive_il.evaluation.criteria import route_ended
from drive_il.experts.planner import Planner
from drive_il.gates import ExpertDrives
from drive_il.maps import library
from drive_il.maps.routes import load_routes
from drive_il.rollout import drive
from drive_il.sensor_specs import (
    CameraSpec,
    GnssSpec,
    ImuSpec,
    LidarSpec,
    ObservationSpec,
    RadarSpec,
)
from drive_il.sensors.observer import SceneObserver
from drive_il.sim.world import World as EmbeddedWorld

carla = pytest.importorskip("carla")
pytestmark = pytest.mark.carla_wheel

from drive_il.carla_sim.connection import fetch_map  # noqa: E402
from drive_il.carla_sim.observer import CarlaObserver  # noqa: E402
from drive_il.carla_sim.servers import Address, Claim, Lost, Servers, answers  # noqa: E402
from drive_il.carla_sim.traffic import manager_port  # noqa: E402
from drive_il.carla_sim.world import World  # noqa: E402

ROUTES = Path(__file__).parents[1] / "routes"
NETWORK = library.load("alder")
ROW = np.zeros(1, np.int64)


def routes(suite: str) -> list[Route]:
    return load_routes(ROUTES / f"alder_{suite}.xml", library.load)


TEST = routes("test")


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving("--town", "alder") as server:
        yield server


@pytest.fixture
def world(served: Served) -> Iterator[World]:
    with World(NETWORK, Claim(Servers(ports=str(served.port)))) as made:
        yield made


def control(throttle: float = 0.0, brake: float = 0.0, steer: float = 0.0) -> Any:
    return np.array([(throttle, brake, steer)], CONTROL)


def by_expert(world: Any, specs: list[EpisodeSpec], observer: Any = None) -> list[Any]:
    return drive(
        world,
        observer,
        None,
        specs,
        expert=Planner(network=NETWORK),
        gate=ExpertDrives(),
        stop=route_ended(),
    )


def test_an_episode_begins_where_its_spec_says_in_the_world_that_it_would_have_embedded(
    world: World,
) -> None:
    start = Start(s=40.0, lateral_error=0.4, heading_error=-0.05, speed=6.0)
    spec = EpisodeSpec(TEST[1], 7, start=start, traffic=Traffic(parked=5, signals=True))
    embedded = EmbeddedWorld(NETWORK, 1)
    for one in (world, embedded):
        one.reset(ROW, [spec])
    here, there = world.scene, embedded.scene
    for name, tolerance in (("x", 0.02), ("y", 0.02), ("heading", 1e-3), ("z", 0.01)):
        assert here.ego[name] == pytest.approx(there.ego[name], abs=tolerance)
    assert here.ego["speed"] == pytest.approx(6.0, abs=0.1)
    assert here.progress["s"] == pytest.approx(40.0, abs=0.05)
    assert (here.actors.lights == there.actors.lights).all()
    assert set(here.actors.lights[0].tolist()) > {LightState.RED}
    mine, theirs = here.actors.vehicles[0], there.actors.vehicles[0]
    assert (mine["id"] == theirs["id"]).all()
    np.testing.assert_allclose(mine["x"][1:], theirs["x"][1:], atol=1e-3)
    assert (here.weather == there.weather).all()


def test_the_expert_drives_as_in_the_embedded_world(world: World) -> None:
    spec = EpisodeSpec(TEST[1], 3, max_steps=600)
    [here], [there] = by_expert(world, [spec]), by_expert(EmbeddedWorld(NETWORK, 1), [spec])
    assert here.outcome == there.outcome == Outcome.COMPLETED
    assert abs(here.n_steps - there.n_steps) <= 4
    assert np.abs(here.progress["lateral_error"]).max() < 0.05
    n = min(here.n_steps, there.n_steps)
    assert np.abs(here.progress["s"][:n] - there.progress["s"][:n]).max() < 1.0


def test_the_same_seed_gives_the_same_bits_whatever_ran_before(world: World) -> None:
    spec = EpisodeSpec(TEST[3], 5, max_steps=120, traffic=Traffic(signals=True))
    first, _, second = by_expert(world, [spec, EpisodeSpec(TEST[2], 1, max_steps=37), spec])
    for name in ("ego", "progress", "control", "lights", "weather"):
        one, other = getattr(first, name), getattr(second, name)
        assert one.tobytes() == other.tobytes(), name


def test_lights_follow_the_seed_and_are_those_on_the_server(world: World, served: Served) -> None:
    spec = EpisodeSpec(TEST[0], 11, traffic=Traffic(signals=True))
    embedded = EmbeddedWorld(NETWORK, 1)
    for one in (world, embedded):
        one.reset(ROW, [spec])
    other = served.client().get_world()
    for _ in range(250):
        world.step(control(brake=1.0))
        embedded.step(control(brake=1.0))
        assert (world.scene.actors.lights == embedded.scene.actors.lights).all()
    lights = other.get_actors().filter("traffic.traffic_light")
    by_id = {str(int(id)): k for k, id in enumerate(NETWORK.signals["id"])}
    assert len(lights) > 0
    for light in lights:
        shown = LightState(int(world.scene.actors.lights[0, by_id[light.get_opendrive_id()]]))
        assert int(light.state) == shown


def test_running_into_a_parked_car_is_told_as_in_the_embedded_world(world: World) -> None:
    route = TEST[1]
    at = route.points[np.searchsorted(route.points["s"], 40.0)]
    place = [float(at[name]) for name in ("x", "y", "heading")]
    wall = Spawn(ActorKind.CAR, *place, 0.0, Mover.NOBODY)
    spec = EpisodeSpec(route, 1, start=Start(s=20.0, speed=8.0), traffic=Traffic(spawns=(wall,)))
    found = []
    for one in (world, EmbeddedWorld(NETWORK, 1)):
        one.reset(ROW, [spec])
        for _ in range(80):
            one.step(control(throttle=0.5))
            if one.scene.events["struck"][0]:
                break
        found.append(one.scene.events[0].copy())
    here, there = found
    assert here["struck"] == there["struck"] == Struck.VEHICLE
    assert here["struck_id"] == there["struck_id"]
    assert here["struck_speed"] == pytest.approx(there["struck_speed"], rel=0.1)
    assert here["impulse_x"] == pytest.approx(there["impulse_x"], abs=0.1 * 1500 * 10)


def test_a_scenario_plays_as_in_the_embedded_world(world: World) -> None:
    route = next(one for one in routes("scenarios") if _has(one, "DynamicObjectCrossing"))
    spec = EpisodeSpec(route, 2, max_steps=1500, traffic=Traffic(signals=True))
    [here], [there] = by_expert(world, [spec]), by_expert(EmbeddedWorld(NETWORK, 1), [spec])
    assert (here.walkers["id"] > 0).any()
    assert {int(k) for k in np.unique(here.vehicles["kind"])} == {
        int(k) for k in np.unique(there.vehicles["kind"])
    }
    struck = [(one.events["struck"] > 0).sum() for one in (here, there)]
    assert struck[0] == struck[1] == 0
    assert here.progress["s_max"][-1] == pytest.approx(there.progress["s_max"][-1], abs=15.0)


def _has(route: Route, type: str) -> bool:
    kinds: list[ScenarioSpec] = list(route.scenarios)
    return any(one.type == type for one in kinds)


SENSORS = ObservationSpec(
    cameras=(
        CameraSpec(),
        CameraSpec("far", "depth", 64, 48),
        CameraSpec("what", "semantic", 64, 48, yaw=0.3),
    ),
    lidars=(LidarSpec(channels=8, points_per_second=40_000, dropoff_general_rate=0.0),),
    radars=(RadarSpec(),),
    gnss=GnssSpec(noise_lat_stddev=0.0, noise_lon_stddev=0.0, noise_alt_stddev=0.0),
    imu=ImuSpec(
        noise_accel_stddev_x=0.0,
        noise_accel_stddev_y=0.0,
        noise_accel_stddev_z=0.0,
        noise_gyro_stddev_x=0.0,
        noise_gyro_stddev_y=0.0,
        noise_gyro_stddev_z=0.0,
    ),
    state=True,
    birdview=True,
    speedometer=True,
    collision=True,
    lane_invasion=True,
)


def test_sensors_say_what_those_of_the_embedded_world_say_of_the_same_scene(world: World) -> None:
    observer, truth = CarlaObserver(world, SENSORS), SceneObserver(NETWORK, SENSORS)
    start = Start(s=30.0, speed=7.0)
    world.reset(ROW, [EpisodeSpec(TEST[0], 4, start=start, traffic=Traffic(signals=True))])
    for _ in range(5):
        world.step(control(throttle=0.6, steer=0.2))
    seen, wanted = observer.observe(world.scene, ROW), truth.observe(world.scene, ROW)
    assert seen.keys() == wanted.keys()
    for name in wanted:
        assert seen[name].shape == wanted[name].shape, name
        assert seen[name].dtype == wanted[name].dtype, name
    away = np.abs(seen["rgb"].astype(float) - wanted["rgb"])
    assert away.mean() < 2.0
    assert (seen["what"] == wanted["what"]).mean() > 0.98
    near = wanted["far"] < 50.0
    assert np.abs(seen["far"] - wanted["far"])[near].mean() < 0.3
    np.testing.assert_allclose(seen["gnss"], wanted["gnss"], atol=2e-7)
    np.testing.assert_allclose(seen["imu"], wanted["imu"], atol=0.02)
    n = int(seen["lidar_count"][0])
    assert np.abs(seen["lidar"][0, :n, 1]).max() > 1.0
    for name in ("state", "birdview", "speedometer", "speed", "command"):
        assert (seen[name] == wanted[name]).all(), name
    # A frame is half a turn, and which half it is depends on the server's clock: a whole turn.
    world.step(control(throttle=0.6, steer=0.2))
    after, truly = observer.observe(world.scene, ROW), truth.observe(world.scene, ROW)
    turn, wanted_turn = (
        int(first["lidar_count"][0] + second["lidar_count"][0])
        for first, second in ((seen, after), (wanted, truly))
    )
    assert turn == pytest.approx(wanted_turn, rel=0.03)


def test_only_the_present_can_be_seen(world: World) -> None:
    observer = CarlaObserver(world, ObservationSpec())
    world.reset(ROW, [EpisodeSpec(TEST[0])])
    with pytest.raises(ValueError, match="show its present only"):
        observer.observe(world.scene.take(ROW), ROW)


def test_a_snapshot_names_the_embedded_world_as_the_remedy(world: World) -> None:
    with pytest.raises(RuntimeError, match="embedded"):
        world.snapshot(ROW)
    with pytest.raises(RuntimeError, match="embedded"):
        world.restore(None, ROW)


def test_the_server_is_given_back_as_it_was_found(served: Served) -> None:
    client = served.client()
    before = len(client.get_world().get_actors())
    claim = Claim(Servers(ports=str(served.port)))
    with pytest.raises(KeyboardInterrupt), World(NETWORK, claim) as one:  # noqa: PT012
        spec = EpisodeSpec(TEST[0], 1, traffic=Traffic(parked=3, walkers=2, signals=True))
        CarlaObserver(one, ObservationSpec())
        one.reset(ROW, [spec])
        one.step(control())
        assert len(client.get_world().get_actors()) > before + 5
        assert client.get_world().get_settings().synchronous_mode
        raise KeyboardInterrupt
    world = client.get_world()
    world.wait_for_tick()
    assert len(world.get_actors()) == before
    assert not world.get_settings().synchronous_mode


_DRIVES = """
import sys
sys.path.insert(0, {folder!r})
from test_carla_world import *
with World(NETWORK, Claim(Servers(ports="{port}"))) as world:
    world.reset(ROW, [EpisodeSpec(TEST[0], 1, traffic=Traffic(parked=3, signals=True))])
    print("drives", flush=True)
    while True:
        world.step(control())
"""


def test_a_program_that_is_told_to_end_gives_the_server_back(served: Served) -> None:
    before = len(served.client().get_world().get_actors())
    code = _DRIVES.format(folder=str(Path(__file__).parent), port=served.port)
    program = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert program.stdout is not None
        assert program.stdout.readline() == b"drives\n"
        world = served.client().get_world()
        world.wait_for_tick()
        assert world.get_settings().synchronous_mode
        assert len(world.get_actors()) > before
        program.terminate()
        assert program.wait(60.0) == 128 + signal.SIGTERM
    finally:
        program.kill()
    world = served.client().get_world()
    assert len(world.get_actors()) == before
    assert not world.get_settings().synchronous_mode


def test_what_a_killed_program_has_left_goes_when_the_next_connects(served: Served) -> None:
    other = synchronous(served.client(), "alder")
    blueprint = other.get_blueprint_library().find("vehicle.audi.tt")
    blueprint.set_attribute("role_name", "drive_il")
    car = other.spawn_actor(blueprint, other.get_map().get_spawn_points()[3])
    other.tick()
    with World(NETWORK, Claim(Servers(ports=str(served.port)))):
        pass
    other = served.client().get_world()
    assert car.id not in [actor.id for actor in other.get_actors()]
    assert not other.get_settings().synchronous_mode


def test_a_server_has_one_driver(served: Served, world: World) -> None:
    with pytest.raises(Lost, match="other programs"):
        Claim(Servers(ports=str(served.port)))


def test_nobody_at_a_port_is_an_error_that_says_what_to_start() -> None:
    with pytest.raises(Lost, match="drive-il serve"):
        Claim(Servers(ports="9"))
    assert not answers(Address("127.0.0.1", 9))


@pytest.mark.parametrize("ports", ["", "x", "2000-", "0", "70000"])
def test_ports_that_are_none_are_refused(ports: str) -> None:
    with pytest.raises(ValueError, match="ports"):
        Servers(ports=ports)


def test_a_range_of_ports_has_steps_of_ten() -> None:
    found = Servers(ports="2000-2020,3000").addresses
    assert [one.port for one in found] == [2000, 2010, 2020, 3000]


def test_a_walker_and_a_car_of_another_client_are_in_the_scene(
    served: Served, world: World
) -> None:
    world.reset(ROW, [EpisodeSpec(TEST[0])])
    world.step(control(brake=1.0))
    other = served.client().get_world()
    place = other.get_map().get_spawn_points()[20]
    car = other.spawn_actor(other.get_blueprint_library().find("vehicle.audi.tt"), place)
    try:
        for _ in range(3):
            world.step(control(brake=1.0))
        vehicles = world.scene.actors.vehicles[0]
        [found] = vehicles[1:][vehicles["id"][1:] > 0]
        assert found["x"] == pytest.approx(place.location.x, abs=0.1)
        assert found["y"] == pytest.approx(-place.location.y, abs=0.1)
        assert found["length"] == pytest.approx(4.18, abs=0.02)
    finally:
        car.destroy()


def test_a_server_that_dies_is_started_again_and_the_drive_goes_on_as_if_nothing_was() -> None:
    port = free_port()
    command = f"{sys.executable} -m drive_il serve --town alder --port {{port}}"
    servers = Servers(ports=str(port), start=command)
    spec = EpisodeSpec(TEST[1], 9, max_steps=60, traffic=Traffic(parked=2, signals=True))

    def kill(step: Any) -> None:
        if int(step.scene.step[0]) == 30 and not killed:
            process = world._connections[0]._process
            assert process is not None
            assert process._process is not None
            process._process.kill()
            process._process.wait()
            killed.append(True)

    killed: list[bool] = []
    with World(NETWORK, Claim(servers)) as world:
        expert, gate = Planner(network=NETWORK), ExpertDrives()
        [whole] = drive(world, None, None, [spec], expert=expert, gate=gate)
        [broken] = drive(world, None, None, [spec], expert=expert, gate=gate, listener=kill)
    assert killed
    assert not answers(Address("127.0.0.1", port))
    for name in ("ego", "progress", "control", "lights"):
        assert getattr(whole, name).tobytes() == getattr(broken, name).tobytes(), name


@pytest.mark.parametrize(("port", "manager"), [(2000, 8000), (59535, 65535), (59536, 53536)])
def test_every_port_of_a_server_leaves_one_for_its_traffic_manager(port: int, manager: int) -> None:
    assert manager_port(port) == manager


def test_traffic_manager_drives_the_background_and_walkers_stroll(world: World) -> None:
    traffic = Traffic(vehicles=8, walkers=4, signals=True)
    world.reset(ROW, [EpisodeSpec(TEST[4], 3, traffic=traffic)])
    begun = world.scene.actors.vehicles[0].copy(), world.scene.actors.walkers[0].copy()
    assert (begun[0]["id"] > 0).sum() == 9
    for _ in range(160):
        world.step(control(brake=1.0))
    vehicles, walkers = world.scene.actors.vehicles[0], world.scene.actors.walkers[0]
    gone = np.hypot(vehicles["x"] - begun[0]["x"], vehicles["y"] - begun[0]["y"])[1:]
    assert np.median(gone) > 10.0
    assert (vehicles["lane"][1:] >= 0).all()
    walked = np.hypot(walkers["x"] - begun[1]["x"], walkers["y"] - begun[1]["y"])
    assert np.median(walked) > 3.0


def test_two_servers_are_two_rows_that_drive_as_one_does(served: Served, world: World) -> None:
    specs = [EpisodeSpec(TEST[k], k, max_steps=60, traffic=Traffic(signals=True)) for k in range(3)]
    alone = by_expert(world, specs)
    world.close()
    with serving("--town", "alder") as other:
        ports = f"{served.port},{other.port}"
        with World(NETWORK, Claim(Servers(ports=ports), most=2)) as both:
            assert both.n_rows == 2
            together = by_expert(both, specs)
    for one, two in zip(alone, together, strict=True):
        for name in ("ego", "control", "lights"):
            assert getattr(one, name).tobytes() == getattr(two, name).tobytes(), name


def test_the_map_of_a_server_is_taken_in(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "folder", lambda: tmp_path)
    served.client().generate_opendrive_world(library.opendrive_text("alder"))
    name = fetch_map(Address("127.0.0.1", served.port))
    assert library.load(name).hash == NETWORK.hash
    with pytest.raises(ValueError, match="shipped"):
        fetch_map(Address("127.0.0.1", served.port), "alder")
