"""Agents in CARLA's interface: dialects, order of calls, plans, and data to the exact value."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from drive_il import handedness
from drive_il.datatypes import CONTROL, EpisodeSpec, Outcome
from drive_il.evaluation.agent_spec import AgentFailure, AgentSpec, is_privileged
from drive_il.evaluation.agent_views import ego_in_carla
from drive_il.evaluation.agents import AgentHost, load_privileged
from drive_il.evaluation.criteria import route_ended
from drive_il.experts.planner import Planner
from drive_il.gates import ExpertDrives
from drive_il.maps import library
from drive_il.rollout import drive
from tests import agent_drives

AGENTS = Path(__file__).parents[1] / "leaderboard" / "agents"
# Writes down what it is called with, in a file named by its config.
RECORDS = """
    def note(self, what):
        import json
        with open(self.config.split('+')[0], 'a') as file:
            file.write(json.dumps(what) + '\\n')

    def setup(self, config):
        self.config = config
        self.track = Track.SENSORS
        self.note(['setup', config, self._global_plan is not None])

    def set_global_plan(self, gps, world):
        super().set_global_plan(gps, world)
        self.plan_seen = True

    def sensors(self):
        self.note(['sensors', getattr(self, 'plan_seen', False)])
        return [{'type': 'sensor.speedometer', 'id': 'speed'}]

    def run_step(self, data, timestamp):
        self.note(['step', data['speed'][0], timestamp, sorted(data)])
        return carla.VehicleControl(throttle=0.5, steer=0.25)

    def destroy(self):
        self.note(['destroy'])
"""
LB1 = (
    RECORDS
    + """
    def __init__(self, path_to_conf_file):
        super().__init__(path_to_conf_file)
        self.note(['made', path_to_conf_file])
"""
)
LB2 = (
    RECORDS
    + """
    def __init__(self, carla_host, carla_port, debug=False):
        super().__init__(carla_host, carla_port, debug)
        self.made_with = [carla_host, carla_port, debug]
"""
)
BENCH2DRIVE = (
    RECORDS
    + """
    def run_step(self, data, timestamp):
        self.note(['metric', self.get_metric_info(), len(self._plan_gps_HACK)])
        return carla.VehicleControl()
"""
)


def recorded(body: str, protocol: str, folder: Path, n_steps: int = 2) -> tuple[str, list[list]]:
    path, log = agent_drives.write_agent(folder, body), folder / "log"
    with agent_drives.host(path, protocol, str(log)) as host:
        policy = agent_drives.begin(host)
        agent_drives.few_steps(policy, n_steps)
        assert policy.failure is None, policy.failure.detail
        assert policy.finish() == ""
    return policy.dialect, [json.loads(line) for line in log.read_text().splitlines()]


def test_leaderboard_1_calls_setup_in_the_constructor_and_plans_last(tmp_path: Path) -> None:
    dialect, calls = recorded(LB1, "lb1", tmp_path)
    log = str(tmp_path / "log")
    assert dialect == "lb1"
    assert calls[:3] == [["setup", log, False], ["made", log], ["sensors", False]]
    assert calls[3:] == [["step", 1, 0.05, ["speed"]], ["step", 2, 0.1, ["speed"]], ["destroy"]]


@pytest.mark.parametrize("body", [LB2, RECORDS], ids=["own constructor", "ours"])
def test_leaderboard_2_plans_before_setup(body: str, tmp_path: Path) -> None:
    dialect, calls = recorded(body, "lb2.0", tmp_path)
    assert dialect == "lb2"
    assert calls[:2] == [["setup", str(tmp_path / "log"), True], ["sensors", True]]


def test_the_constructor_tells_the_dialect_whatever_the_protocol(tmp_path: Path) -> None:
    assert recorded(LB1, "lb2.1", tmp_path)[0] == "lb1"
    assert recorded(LB2, "lb1", tmp_path)[0] == "lb2"


def test_bench2drive_names_the_route_and_shows_the_ego(tmp_path: Path) -> None:
    dialect, calls = recorded(BENCH2DRIVE, "bench2drive", tmp_path)
    assert dialect == "bench2drive"
    assert calls[0] == ["setup", f"{tmp_path / 'log'}+route0", True]
    kind, info, n_points = calls[2]
    assert kind == "metric"
    start = agent_drives.routes()[0].points[0]
    assert n_points == len(agent_drives.routes()[0].points)
    np.testing.assert_allclose(info["location"][:2], [start["x"], -start["y"]], atol=1e-4)
    yaw = handedness.heading_to_carla(float(start["heading"]))
    np.testing.assert_allclose(info["rotation"][2], yaw, atol=1e-3)
    radians = np.deg2rad(yaw)
    np.testing.assert_allclose(
        info["forward_vector"][:2], [np.cos(radians), np.sin(radians)], atol=1e-5
    )


def test_other_protocols_do_not_show_the_ego(tmp_path: Path) -> None:
    path = agent_drives.write_agent(tmp_path, BENCH2DRIVE)
    with agent_drives.host(path, "lb2.1", str(tmp_path / "log")) as host:
        policy = agent_drives.begin(host)
        agent_drives.few_steps(policy)
        assert policy.failure is not None
        assert "--protocol bench2drive" in policy.failure.reason


def test_the_ego_turning_left_accelerates_to_the_left() -> None:
    ego = agent_drives.world().scene.ego[0].copy()
    ego["x"], ego["y"], ego["heading"], ego["slip"] = 1.0, 2.0, 0.0, 0.0
    ego["speed"], ego["acceleration"], ego["yaw_rate"] = 10.0, 2.0, 0.5
    seen = ego_in_carla(ego)
    assert seen[:2] == (1.0, -2.0)
    assert seen[6:9] == (10.0, 0.0, 0.0)
    assert seen[9:12] == (2.0, -5.0, 0.0)
    assert seen[14] == pytest.approx(-np.degrees(0.5))


def test_the_agents_process_has_nothing_of_ours(tmp_path: Path) -> None:
    body = """
    def run_step(self, data, timestamp):
        import sys
        ours = [n for n in sys.modules if n.split('.')[0] in ('drive_il', 'numba', 'torch')]
        assert not ours, ours
        return carla.VehicleControl()
    """
    with agent_drives.host(agent_drives.write_agent(tmp_path, body)) as host:
        policy = agent_drives.begin(host)
        agent_drives.few_steps(policy)
        assert policy.failure is None, policy.failure.detail


def test_one_process_serves_route_after_route_with_a_new_agent_each(tmp_path: Path) -> None:
    body = """
    def sensors(self):
        return []

    def run_step(self, data, timestamp):
        import os, random
        self.steps = getattr(self, 'steps', 0) + 1
        assert self.steps == round(timestamp / 0.05)
        return carla.VehicleControl(throttle=random.random(), steer=os.getpid() / 1e7)
    """
    with agent_drives.host(agent_drives.write_agent(tmp_path, body)) as host:
        drives = []
        for seed in (4, 5, 4):
            policy = agent_drives.begin(host, seed)
            drives.append(agent_drives.few_steps(policy).control)
            assert policy.failure is None, policy.failure.detail
            policy.finish()
    assert drives[0].tobytes() == drives[2].tobytes(), "generators start from the seed"
    assert (drives[0]["throttle"] != drives[1]["throttle"]).all()
    assert drives[0]["steer"][0] == drives[1]["steer"][0], "one process"


def test_an_agent_drives_one_row_only(tmp_path: Path) -> None:
    body = "def sensors(self):\n    return []"
    with agent_drives.host(agent_drives.write_agent(tmp_path, body)) as host:
        policy = agent_drives.begin(host)
        with pytest.raises(ValueError, match="one row, got 2"):
            policy.initial_state(2)


def test_an_agent_cannot_be_forked_and_says_so(tmp_path: Path) -> None:
    body = "def sensors(self):\n    return []"
    with agent_drives.host(agent_drives.write_agent(tmp_path, body)) as host:
        policy = agent_drives.begin(host)
        agent_drives.few_steps(policy)
        with pytest.raises(RuntimeError, match=r"step 0 after 3 steps.*cannot be snapshot"):
            agent_drives.few_steps(policy)


def test_two_runs_of_a_deterministic_agent_give_the_same_bits() -> None:
    drives = []
    for before in (0, 1):  # the second process has driven another route before
        with agent_drives.host(AGENTS / "follow_route.py") as host:
            for route in range(1 - before, 2):
                policy = agent_drives.begin(host, 3, route)
                episode = agent_drives.few_steps(policy, 60, route)
                policy.finish()
            drives.append(episode)
    assert drives[0].ego.tobytes() == drives[1].ego.tobytes()
    assert drives[0].control.tobytes() == drives[1].control.tobytes()


def test_the_agent_answers_while_the_expert_drives() -> None:
    spec = EpisodeSpec(agent_drives.routes()[0], max_steps=20)
    expert = Planner(network=library.load("alder"))
    with agent_drives.host(AGENTS / "straight_on.py") as host:
        policy = agent_drives.begin(host)
        (episode,) = drive(
            agent_drives.world(),
            policy.observer,
            policy,
            [spec],
            expert=expert,
            gate=ExpertDrives(),
            stop=policy.stop(route_ended()),
        )
    assert set(episode.policy_control["throttle"].tolist()) == {0.75}
    assert episode.control.tobytes() == episode.expert_control.tobytes()


def test_the_reverse_gear_is_a_throttle_below_0_and_the_hand_brake_a_brake(tmp_path: Path) -> None:
    body = """
    def sensors(self):
        return []

    def run_step(self, data, timestamp):
        return carla.VehicleControl(throttle=0.5, reverse=True, hand_brake=timestamp > 0.12)
    """
    with agent_drives.host(agent_drives.write_agent(tmp_path, body)) as host:
        control = agent_drives.few_steps(agent_drives.begin(host)).control
    assert control.tolist() == [(-0.5, 0.0, 0.0)] * 2 + [(0.0, 1.0, 0.0)]


def test_carlas_world_is_not_here_and_the_error_names_the_way_out(tmp_path: Path) -> None:
    body = """
    def setup(self, config):
        from srunner.scenariomanager.carla_data_provider import CarlaDataProvider
        CarlaDataProvider.get_world()
    """
    with (
        agent_drives.host(agent_drives.write_agent(tmp_path, body)) as host,
        pytest.raises(AgentFailure, match=r"get_world is not here.*drive-il serve"),
    ):
        agent_drives.begin(host)


def test_the_wrong_track_rejects_the_entry(tmp_path: Path) -> None:
    path = agent_drives.write_agent(tmp_path, "def sensors(self):\n    return []")
    with (
        agent_drives.host(path, track="MAP") as host,
        pytest.raises(AgentFailure, match="track is SENSORS and the entry's MAP") as caught,
    ):
        agent_drives.begin(host)
    assert caught.value.rejects_entry


def test_a_bare_interpreter_with_numpy_only_will_do(tmp_path: Path) -> None:
    """The minimal `carla` stands in where no wheel is."""
    import venv

    folder = tmp_path / "bare"
    venv.create(folder, with_pip=False)
    packages = next(folder.glob("lib/python*/site-packages"))
    here = Path(np.__file__).parents[1]
    for name in ("numpy", "numpy.libs"):
        if (here / name).exists():
            (packages / name).symlink_to(here / name)
    body = """
    def sensors(self):
        assert 'compat' in carla.__file__, carla.__file__
        assert self._global_plan_world_coord[0][0].location.x != 0.0
        return []

    def run_step(self, data, timestamp):
        return carla.VehicleControl(throttle=0.6, steer=0.1)
    """
    path = agent_drives.write_agent(tmp_path, body)
    with agent_drives.host(path, python=folder / "bin" / "python") as host:
        policy = agent_drives.begin(host)
        control = agent_drives.few_steps(policy).control
        assert policy.failure is None, policy.failure.detail
    expected = np.array([(0.6, 0.0, -0.1)], CONTROL)
    for name in CONTROL.names or ():
        np.testing.assert_allclose(control[name], expected[name][0], rtol=1e-7)


YOUNG = {"dist", "prod", "comb", "perm", "isqrt", "lcm", "cbrt"}  # math's, Python 3.8 and later


def test_compat_and_shipped_agents_run_on_old_pythons() -> None:
    """No syntax younger than 3.7, nor what `math` did not have then."""
    import ast

    folder = Path(sys.modules[AgentHost.__module__].__file__ or "").parent / "compat"
    agents = [path for path in AGENTS.glob("*.py") if not is_privileged(path)]
    assert len(agents) >= 3
    for path in (*folder.rglob("*.py"), *agents):
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=(3, 7))
        names = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "math"
        }
        assert not names & YOUNG, path


def test_what_no_python_can_read_fails_in_its_own_process(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("def get_entry_point(:\n")
    assert not is_privileged(path)
    with (
        agent_drives.host(path) as host,
        pytest.raises(AgentFailure, match="set up: SyntaxError") as caught,
    ):
        agent_drives.begin(host)
    assert "get_entry_point(:" in caught.value.detail


def test_what_an_agent_says_cannot_steer_a_terminal() -> None:
    failure = AgentFailure("Failed", "\x1b[31mred\udcff", "two\nlines\x07")
    assert (failure.reason, failure.detail) == ("?[31mred?", "two\nlines?")


def test_a_missing_interpreter_and_a_missing_file_are_named(tmp_path: Path) -> None:
    path = agent_drives.write_agent(tmp_path, RECORDS)
    with pytest.raises(ValueError, match=r"no interpreter .*nowhere"):
        AgentSpec(path, python=tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"no agent file .*absent\.py"):
        AgentSpec(tmp_path / "absent.py")
    with pytest.raises(ValueError, match="tracks SENSORS, MAP, got 'MAP_QUALIFIER'"):
        AgentSpec(path, protocol="lb1", track="MAP_QUALIFIER")


PRIVILEGED = """
import numpy as np
from drive_il.datatypes import CONTROL
def get_entry_point():
    return 'Agent'
class Agent:
    privileged = True
    def __init__(self, network, config):
        self.name = network.name + config
    def control(self, scene):
        return np.zeros(scene.n_rows, CONTROL)
"""


def test_privileged_agents_need_permission(tmp_path: Path) -> None:
    path = tmp_path / "expert.py"
    path.write_text(PRIVILEGED)
    assert is_privileged(path)
    with pytest.raises(ValueError, match="--allow-privileged"):
        load_privileged(AgentSpec(path), library.load("alder"))
    with pytest.raises(ValueError, match="privileged"):
        AgentHost(AgentSpec(path))
    with pytest.raises(ValueError, match="no agent in a sandbox"):
        load_privileged(AgentSpec(path, sandbox=True), library.load("alder"))
    expert = load_privileged(AgentSpec(path, "!", allow_privileged=True), library.load("alder"))
    assert expert.name == "alder!"  # type: ignore[attr-defined]


def test_the_runner_that_dies_takes_its_agent_along(tmp_path: Path) -> None:
    body = "def sensors(self):\n    import os\n    print(os.getpid())\n    return []"
    path = agent_drives.write_agent(tmp_path, body)
    code = (
        "import os, pathlib, sys; sys.path.insert(0, sys.argv[2])\n"
        "from tests import agent_drives\n"
        "host = agent_drives.host(pathlib.Path(sys.argv[1])); agent_drives.begin(host)\n"
        "print(host._process._process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    command = [sys.executable, "-c", code, str(path), str(Path(__file__).parents[1])]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    pid = int(told.stdout.split()[-1])
    for _ in range(50):
        if not is_running(pid):
            return
        import time

        time.sleep(0.1)
    pytest.fail("the agent's process is still there")


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_an_agent_may_end_by_itself(tmp_path: Path) -> None:
    body = """
    def setup(self, config):
        import atexit
        atexit.register(lambda: open(config, 'w').write('ended'))

    def sensors(self):
        return []
    """
    log = tmp_path / "log"
    with agent_drives.host(agent_drives.write_agent(tmp_path, body), config=str(log)) as host:
        agent_drives.begin(host)
    assert log.read_text() == "ended"


def test_a_failed_agent_is_not_asked_again(tmp_path: Path) -> None:
    body = "def sensors(self):\n    return []\n\ndef run_step(self, data, timestamp):\n    1 / 0"
    with agent_drives.host(agent_drives.write_agent(tmp_path, body)) as host:
        policy = agent_drives.begin(host)
        spec = EpisodeSpec(agent_drives.routes()[0], max_steps=3)
        (episode,) = agent_drives.drive(agent_drives.world(), policy.observer, policy, [spec])
    assert episode.outcome == Outcome.TRUNCATED
    assert episode.control.tolist() == [(0.0, 1.0, 0.0)] * 3


def test_the_example_drives_a_route_to_its_end_within_its_lane() -> None:
    route = agent_drives.routes()[10]
    with agent_drives.host(AGENTS / "follow_route.py") as host:
        policy = agent_drives.begin(host, route=10)
        spec = EpisodeSpec(route, max_steps=2000)
        stop = policy.stop(route_ended())
        world, observer = agent_drives.world(), policy.observer
        (episode,) = drive(world, observer, policy, [spec], stop=stop, keep_observations=False)
        assert policy.failure is None, policy.failure.detail
    assert episode.outcome == Outcome.COMPLETED
    room = 0.5 * (episode.progress["lane_width"] - episode.ego["width"])
    assert (np.abs(episode.progress["lateral_error"]) < room).all()


def test_the_baselines_drive_as_they_say() -> None:
    for name, least, most in (("stand_still", 0.0, 0.01), ("straight_on", 3.0, 5.5)):
        with agent_drives.host(AGENTS / f"{name}.py") as host:
            policy = agent_drives.begin(host)
            episode = agent_drives.few_steps(policy, 100)
            assert policy.failure is None, policy.failure.detail
        assert least <= float(episode.ego["speed"][-1]) <= most


def test_the_experts_file_is_the_planner() -> None:
    network = library.load("alder")
    expert = load_privileged(AgentSpec(AGENTS / "expert.py", allow_privileged=True), network)
    scene = agent_drives.world().scene
    assert expert.control(scene).tobytes() == Planner(network=network).control(scene).tobytes()
