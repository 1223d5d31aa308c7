"""The import names that agents find where CARLA's own are absent."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from drive_il.evaluation.agent_views import dense_plan
from drive_il.maps import library, opendrive
from drive_il.sensors.inertial import geolocations
from tests import agent_drives

COMPAT = Path(__file__).parents[1] / "drive_il" / "evaluation" / "compat"
OURS = ("agents", "carla", "drive_il_agent", "leaderboard", "srunner")


@pytest.fixture
def compat(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Our names first on the path, as in a process without CARLA's."""
    kept = {name: m for name, m in sys.modules.items() if name.split(".")[0] in OURS}
    for name in kept:
        del sys.modules[name]
    monkeypatch.syspath_prepend(str(COMPAT))
    yield
    for name in [name for name in sys.modules if name.split(".")[0] in OURS]:
        del sys.modules[name]
    sys.modules.update(kept)


def real_carla() -> ModuleType:
    return pytest.importorskip("carla")


POSES = [
    (1.0, 2.0, 3.0, 0.0, 0.0, 0.0),
    (-4.0, 5.5, 0.5, 10.0, 95.0, -20.0),
    (7.0, -1.0, 2.0, -60.0, -170.0, 140.0),
]


@pytest.mark.carla_wheel
def test_poses_turn_and_move_points_as_carlas_do() -> None:
    def answers(carla: ModuleType) -> list[list[float]]:
        found = []
        for x, y, z, pitch, yaw, roll in POSES:
            location = carla.Location(x=x, y=y, z=z)
            pose = carla.Transform(location, carla.Rotation(pitch=pitch, yaw=yaw, roll=roll))
            ways = (pose.get_forward_vector(), pose.get_right_vector(), pose.get_up_vector())
            point = carla.Location(3.0, -2.0, 1.0)
            moved = pose.transform(point)
            for vector in (*ways, moved, location - point, location + point):
                found.append([vector.x, vector.y, vector.z])
            found.append(np.ravel(pose.get_matrix()).tolist())
            found.append(np.ravel(pose.get_inverse_matrix()).tolist())
            found.append([location.distance(point)])
        return found

    expected = answers(real_carla())
    kept = sys.modules.pop("carla")
    sys.path.insert(0, str(COMPAT))
    try:
        ours = importlib.import_module("carla")
        assert str(COMPAT) in str(ours.__file__)
        for one, other in zip(answers(ours), expected, strict=True):
            np.testing.assert_allclose(one, other, atol=2e-5)
    finally:
        sys.path.remove(str(COMPAT))
        for name in [name for name in sys.modules if name.split(".")[0] in OURS]:
            del sys.modules[name]
        sys.modules["carla"] = kept


def with_throttle(carla: ModuleType, value: object) -> float | None:
    control = carla.VehicleControl()
    try:
        control.throttle = value
    except Exception:
        return None
    return float(control.throttle)


VALUES = (0.5, 1, True, np.float64(0.25), np.float32(0.5), np.array([0.5]), "1", None, [1.0])


@pytest.mark.usefixtures("compat")
def test_a_control_takes_floats_only() -> None:
    ours = importlib.import_module("carla")
    taken = [with_throttle(ours, value) for value in VALUES]
    assert taken == [0.5, 1.0, 1.0, 0.25, None, None, None, None, None]
    assert ours.VehicleControl(0.1, -1).steer == -1.0
    with pytest.raises(TypeError, match="throttle must be a float, got str"):
        ours.VehicleControl(throttle="1")


@pytest.mark.carla_wheel
def test_carlas_control_takes_the_same() -> None:
    taken = [with_throttle(real_carla(), value) for value in VALUES]
    assert taken == [0.5, 1.0, 1.0, 0.25, None, None, None, None, None]


@pytest.mark.usefixtures("compat")
def test_names_that_are_not_here_say_what_to_do() -> None:
    carla = importlib.import_module("carla")
    with pytest.raises(ImportError, match=r"carla\.Client is not here.*drive-il serve"):
        _ = carla.Client
    assert not hasattr(carla, "__wrapped__")
    provider = importlib.import_module("srunner.scenariomanager.carla_data_provider")
    for name in ("get_world", "get_client", "active_scenarios"):
        with pytest.raises(RuntimeError, match=rf"CarlaDataProvider\.{name} is not here"):
            getattr(provider.CarlaDataProvider, name)
    with pytest.raises(RuntimeError, match="MAP track"):
        provider.CarlaDataProvider.get_map()


@pytest.mark.usefixtures("compat")
@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("leaderboard.autoagents.autonomous_agent", ["AutonomousAgent", "Track"]),
        ("leaderboard.autoagents.agent_wrapper", ["AgentError"]),
        (
            "leaderboard.envs.sensor_interface",
            ["SensorInterface", "SensorConfigurationInvalid", "SensorReceivedNoData"],
        ),
        ("leaderboard.utils.route_manipulation", ["downsample_route", "location_route_to_gps"]),
        ("leaderboard.utils.route_parser", ["DIST_THRESHOLD"]),
        ("leaderboard.utils.statistics_manager", ["StatisticsManager"]),
        ("leaderboard.utils.checkpoint_tools", ["fetch_dict", "save_dict"]),
        ("srunner.scenariomanager.carla_data_provider", ["CarlaDataProvider"]),
        ("srunner.scenariomanager.timer", ["GameTime"]),
        ("agents.navigation.global_route_planner", ["GlobalRoutePlanner"]),
        ("agents.navigation.global_route_planner_dao", ["GlobalRoutePlannerDAO"]),
        ("agents.navigation.local_planner", ["RoadOption", "LocalPlanner"]),
        ("agents.navigation.basic_agent", ["BasicAgent"]),
        ("agents.tools.misc", ["get_speed", "is_within_distance", "vector"]),
    ],
)
def test_what_published_agents_import_is_there(module: str, names: list[str]) -> None:
    found = importlib.import_module(module)
    assert all(hasattr(found, name) for name in names)


def route_of(options: str, spacing: float = 1.0) -> list:
    """Points in a line: f follow, l left, s straight, < and > lane changes."""
    carla = importlib.import_module("carla")
    option = importlib.import_module("agents.navigation.local_planner").RoadOption
    by_letter = {
        "f": option.LANEFOLLOW,
        "l": option.LEFT,
        "s": option.STRAIGHT,
        "<": option.CHANGELANELEFT,
        ">": option.CHANGELANERIGHT,
    }
    return [
        (carla.Transform(carla.Location(x=spacing * k)), by_letter[letter])
        for k, letter in enumerate(options)
    ]


@pytest.mark.usefixtures("compat")
@pytest.mark.parametrize(
    ("options", "factor", "kept"),
    [
        ("ffff", 50, [0, 3]),  # the first and the last
        ("ffllff", 50, [0, 2, 4, 5]),  # every change of option
        ("ff<<ff", 50, [0, 2, 3, 5]),  # every point of a lane change, and not the one after
        ("f<>f", 50, [0, 1, 2, 3]),
        # 3 m lie between: the way to a kept point does not count, so that point 3 has come
        # 2 m, and point 4 is the first with more than 2 m behind it.
        ("ffffffffff", 2, [0, 4, 8, 9]),
    ],
)
def test_downsampling_keeps_what_the_leaderboard_keeps(
    options: str, factor: float, kept: list[int]
) -> None:
    module = importlib.import_module("leaderboard.utils.route_manipulation")
    assert module.downsample_route(route_of(options), factor) == kept


@pytest.mark.usefixtures("compat")
def test_200_m_keep_fewer_points_than_50_m() -> None:
    module = importlib.import_module("leaderboard.utils.route_manipulation")
    route = route_of("f" * 601)
    assert module.downsample_route(route, 50) == [0, *range(52, 601, 52), 600]
    assert module.downsample_route(route, 200) == [0, 202, 404, 600]


@pytest.mark.usefixtures("compat")
def test_the_leaderboards_formula_south_is_negative() -> None:
    """[M] of the reference: Town01, whose reference is 0/0, at (10, 20, 0)."""
    carla = importlib.import_module("carla")
    module = importlib.import_module("leaderboard.utils.route_manipulation")
    place = module._location_to_gps(0.0, 0.0, carla.Location(10.0, 20.0, 1.5))
    assert place["lat"] == pytest.approx(-0.000179663, abs=1e-9)
    assert place["lon"] == pytest.approx(10.0 / 6378137.0 * 180.0 / np.pi, rel=1e-12)
    assert place["z"] == 1.5


@pytest.mark.usefixtures("compat")
def test_plan_gps_and_sensor_gps_are_one_formula() -> None:
    carla = importlib.import_module("carla")
    module = importlib.import_module("leaderboard.utils.route_manipulation")
    route, network = agent_drives.routes()[0], library.load("alder")
    plan = dense_plan(route, network)
    xyz = np.stack([route.points[axis] for axis in "xyz"], axis=1)
    np.testing.assert_array_equal(plan["gps"], geolocations(network, xyz))
    for at, gps in list(zip(plan["location"], plan["gps"], strict=True))[::50]:
        theirs = module._location_to_gps(*network.geo_reference, carla.Location(*at))
        np.testing.assert_allclose([theirs["lat"], theirs["lon"], theirs["z"]], gps, atol=1e-12)


def test_town01_is_where_the_leaderboard_puts_it(shared_maps: Path) -> None:
    pytest.importorskip("carla")
    network = opendrive.read(shared_maps / "Town01.xodr")
    (place,) = geolocations(network, np.array([[10.0, -20.0, 0.0]])).tolist()
    assert place[0] == pytest.approx(-0.000179663, abs=1e-9)


@pytest.mark.usefixtures("compat")
def test_the_route_planner_traces_the_own_route_only() -> None:
    carla = importlib.import_module("carla")
    planning = importlib.import_module("agents.navigation.global_route_planner")
    context = importlib.import_module("drive_il_agent.context").context
    context.plan = route_of("ffffffllss")
    planner = planning.GlobalRoutePlanner(None, 1.0)
    traced = planner.trace_route(carla.Location(2.2, 1.0, 0.0), carla.Location(7.0, 0.0, 0.0))
    assert [point.transform.location.x for point, _ in traced] == [2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    assert [option.name for _, option in traced][-2:] == ["LEFT", "LEFT"]
    with pytest.raises(RuntimeError, match="not back"):
        planner.trace_route(carla.Location(7.0, 0.0, 0.0), carla.Location(2.0, 0.0, 0.0))
    with pytest.raises(RuntimeError, match="away from the own route"):
        planner.trace_route(carla.Location(0.0, 9.0, 0.0), carla.Location(2.0, 0.0, 0.0))


@pytest.mark.usefixtures("compat")
def test_angles_are_seen_from_the_reference() -> None:
    carla = importlib.import_module("carla")
    misc = importlib.import_module("agents.tools.misc")
    here = carla.Transform(carla.Location(), carla.Rotation(yaw=90.0))
    ahead, behind = (carla.Transform(carla.Location(y=y)) for y in (5.0, -5.0))
    assert misc.is_within_distance(ahead, here, 6.0, [-1.0, 10.0])
    assert not misc.is_within_distance(behind, here, 6.0, [0.0, 90.0])
    assert misc.is_within_distance(behind, here, 6.0, [90.0, 181.0])
    assert not misc.is_within_distance(ahead, here, 4.0)
    assert misc.vector(here.location, ahead.location) == pytest.approx([0.0, 1.0, 0.0])
