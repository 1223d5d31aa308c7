"""Other people's programs against our server, unmodified; what came of it: docs/carla_server.md.

Each needs paths in the environment:

DRIVE_IL_CARLA_PYTHON: an interpreter with carla 0.9.16 and what the programs need.
DRIVE_IL_CARLA_API: CARLA's PythonAPI folder (carla/agents, examples).
DRIVE_IL_SCENARIO_RUNNER: scenario_runner 0.9.16.
DRIVE_IL_CARLA_LEADERBOARD: leaderboard 2.x; with it
DRIVE_IL_LEADERBOARD_RUNNER: the branch of scenario_runner that it is made for.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from carla_server import Served, serving

from drive_il.maps import library

pytestmark = pytest.mark.carla_wheel
_HERE = Path(__file__).parent
_ROUTES = _HERE.parent / "routes"
_AGENTS = _HERE.parent / "leaderboard" / "agents"


def given(name: str) -> Path:
    """The path in a variable of the environment."""
    path = os.environ.get(name)
    if not path:
        pytest.skip(f"needs {name}: see the head of {Path(__file__).name}")
    return Path(path)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    given("DRIVE_IL_CARLA_PYTHON")
    with serving("--town", "alder") as server:
        yield server


@pytest.fixture(autouse=True)
def afresh(served: Served) -> None:
    """Nothing of what the program before has left, and the world ticks by itself."""
    served.client().load_world("alder")


def run(
    words: list[str | Path], folder: Path, paths: list[Path], stop_after: float | None = None
) -> str:
    """Runs a program to its end, or tells it to stop like Ctrl-C; returns what it printed."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "MPLBACKEND": "Agg",
        "SCENARIO_RUNNER_ROOT": str(next((one for one in paths if (one / "srunner").exists()), "")),
    }
    command = [str(given("DRIVE_IL_CARLA_PYTHON")), *map(str, words)]
    output = folder / "output.txt"
    with output.open("w") as file:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=file, stderr=file)
        try:
            process.wait(stop_after or 500.0)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            process.wait(30.0)
        finally:
            process.kill()
    text = output.read_text(errors="replace")
    if stop_after is None:
        assert process.returncode == 0, text[-3000:]
    return text


WINDOWS = {
    "automatic_control": ["--sync", "-a", "Basic", "--loop", "--res", "320x240"],
    "automatic_control Behavior": ["--sync", "-a", "Behavior", "--loop", "--res", "320x240"],
    "manual_control": ["--sync", "--res", "320x240"],
    "synchronous_mode": [],
    "client_bounding_boxes": [],
    "visualize_multiple_sensors": [],
    "draw_skeleton": [],
}


@pytest.mark.parametrize("name", WINDOWS)
def test_examples_with_a_window(served: Served, tmp_path: Path, name: str) -> None:
    api = given("DRIVE_IL_CARLA_API")
    program = api / "examples" / f"{name.split()[0]}.py"
    shim = _HERE / "foreign_window.py"
    words: list[str | Path] = [shim, str(served.port), "30", tmp_path, program, *WINDOWS[name]]
    run(words, tmp_path, [api / "carla", api / "examples"])
    assert (tmp_path / "last.png").stat().st_size > 5000


PROGRAMS = {
    "tutorial": ([], None, "done."),
    "vehicle_physics": ([], None, "Impulse"),
    "lidar_to_camera": (["-f", "10"], None, "Simulation"),
    "generate_traffic": (["-n", "10", "-w", "10"], 30.0, "destroying 10 walkers"),
    "sensor_synchronization": ([], 20.0, "camera03"),
    "dynamic_weather": ([], 10.0, "Sun"),
    "vehicle_gallery": ([], 15.0, "vehicle."),
}
"""arguments, when it is told to stop [s], and what it says"""


@pytest.mark.parametrize("name", PROGRAMS)
def test_examples_without_a_window(served: Served, tmp_path: Path, name: str) -> None:
    api = given("DRIVE_IL_CARLA_API")
    arguments, stop_after, says = PROGRAMS[name]
    program = api / "examples" / f"{name}.py"
    words: list[str | Path] = [_HERE / "foreign_window.py", str(served.port), "0", tmp_path]
    text = run(
        [*words, program, *arguments], tmp_path, [api / "carla", api / "examples"], stop_after
    )
    assert says in text


SCENARIOS = [
    *("FollowLeadingVehicle_1", "ControlLoss_1", "VehicleTurningRight_1", "VehicleTurningLeft_1"),
    *("ChangeLane_1", "CutInFrom_left_Lane", "OtherLeadingVehicle_1", "EnterActorFlow_1"),
    *("DynamicObjectCrossing_5", "StationaryObjectCrossing_5", "Construction_1", "Accident_1"),
    *("OppositeVehicleRunningRedLight_4", "SignalizedJunctionLeftTurn_2"),
    "SignalizedJunctionRightTurn_2",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_scenarios_come_to_a_result(served: Served, tmp_path: Path, name: str) -> None:
    runner, api = given("DRIVE_IL_SCENARIO_RUNNER"), given("DRIVE_IL_CARLA_API")
    if not {"Town01", "Town04"} <= set(library.names()):
        pytest.skip("needs CARLA's maps: drive-il maps import Town01.xodr, and Town04.xodr")
    paths = [api / "carla", runner]
    hero = subprocess.Popen(
        [given("DRIVE_IL_CARLA_PYTHON"), _HERE / "foreign_hero.py", str(served.port), "30"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        words: list[str | Path] = [
            runner / "scenario_runner.py",
            "--port",
            str(served.port),
            "--scenario",
            name,
        ]
        words += ["--sync", "--reloadWorld", "--output", "--timeout", "60"]
        text = run([*words, "--trafficManagerPort", str(served.port + 100)], tmp_path, paths)
    finally:
        hero.kill()
    assert "Results of Scenario" in text, text[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("agent", ["npc_agent", "follow_route"])
def test_the_leaderboard_drives_a_route(served: Served, tmp_path: Path, agent: str) -> None:
    board, api = given("DRIVE_IL_CARLA_LEADERBOARD"), given("DRIVE_IL_CARLA_API")
    runner = given("DRIVE_IL_LEADERBOARD_RUNNER")
    ours = _AGENTS / f"{agent}.py"
    file = ours if ours.exists() else board / "leaderboard" / "autoagents" / f"{agent}.py"
    words: list[str | Path] = [
        board / "leaderboard" / "leaderboard_evaluator.py",
        "--port",
        str(served.port),
    ]
    words += ["--traffic-manager-port", str(served.port + 100), "--timeout", "120"]
    words += ["--routes", _ROUTES / "alder_test.xml", "--routes-subset", "0", "--agent", file]
    words += ["--agent-config", "", "--track", "SENSORS", "--checkpoint", tmp_path / "r.json"]
    run(
        [*words, "--debug-checkpoint", tmp_path / "live.txt"],
        tmp_path,
        [api / "carla", runner, board],
    )
    found = json.loads((tmp_path / "r.json").read_text())["_checkpoint"]["records"]
    assert [one["status"] for one in found] == ["Completed"]
    assert found[0]["scores"]["score_route"] == 100.0
