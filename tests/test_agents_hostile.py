"""Hostile agents cost themselves their route, with the right status, and nothing else."""

from __future__ import annotations

import os
import re
import socket
import time
from pathlib import Path

import pytest

from drive_il.datatypes import Outcome
from drive_il.evaluation.agent_sandbox import why_no_sandbox
from drive_il.evaluation.agent_spec import (
    COULD_NOT_SET_UP,
    CRASHED,
    SENSORS_INVALID,
    AgentFailure,
    AgentLimits,
    AgentSpec,
)
from tests import agent_drives

needs_sandbox = pytest.mark.skipif(bool(why_no_sandbox()), reason=why_no_sandbox() or "works")
places = pytest.mark.parametrize(
    "sandbox", [False, pytest.param(True, marks=needs_sandbox)], ids=["bare", "sandboxed"]
)
GOOD, EVIL = 0, 1  # seeds: the first number that each draws tells an agent what to be

# Each body runs where its key says, on evil routes only.
AGENT = """
    evil = False

    def __init__(self, *arguments):
        import random
        self.evil = random.random() < 0.5
        super().__init__(*arguments)
        self.misbehave("ctor")

    def misbehave(self, where):
        if not self.evil:
            return None
        return getattr(self, "in_" + where, lambda: None)()

    def setup(self, config):
        self.misbehave("setup")

    def sensors(self):
        return self.misbehave("sensors") or [{"type": "sensor.speedometer", "id": "speed"}]

    def run_step(self, data, timestamp):
        return self.misbehave("step") or carla.VehicleControl(throttle=0.5, steer=7.0)

    def destroy(self):
        self.misbehave("destroy")
"""
HANGS = "import ctypes; ctypes.PyDLL(None).pause()"  # in C, and holds Python's lock
SETUP = {
    "raises in the constructor": ("ctor", "raise ValueError('no')", "ValueError: no"),
    "raises in setup": ("setup", "raise ValueError('no')", "ValueError: no"),
    "raises in sensors": ("sensors", "raise ValueError('no')", "ValueError: no"),
    "hangs in setup": ("setup", HANGS, "did not answer within 6 s"),
    "ends in setup": ("setup", "raise SystemExit(2)", "SystemExit: 2"),
}
STEP = {
    "raises": ("1 / 0", "ZeroDivisionError"),
    "hangs in C": (HANGS, "did not answer within 3 s"),
    "exits": ("import os; os._exit(3)", "exited with code 3"),
    "is killed": (
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "killed by SIGKILL|exited with code 137",
    ),
    "says NaN": ("return carla.VehicleControl(steer=float('nan'))", "not a number"),
    "returns a dictionary": ("return {'throttle': 1.0}", "must return a carla.VehicleControl"),
    "returns a word": ("return carla.VehicleControl(throttle='full')", "Error"),
    "eats memory": (
        "eaten = []\nwhile True: eaten.append(b'x' * (1 << 24))",
        r"memory grew beyond 0.5 GiB",
    ),
    "floods its output": (
        "import os\nwhile True: os.write(2, b'x' * 65536)",
        "wrote more than 4 MiB",
    ),
    "starts many processes": (
        "import os, time\nfor _ in range(40):\n    if os.fork() == 0: time.sleep(60)\n"
        "time.sleep(60)",
        "ran more than 20 processes",
    ),
    "closes its socket": ("import os; os.closerange(3, 64)", "exited|closed|OSError|killed"),
    "talks nonsense on its socket": (
        "import os\nfor fd in range(3, 64):\n    try: os.write(fd, b'nonsense' * 9)\n"
        "    except OSError: pass",
        "no reply",
    ),
}


def agent_file(folder: Path, where: str, code: str) -> Path:
    lines = "\n".join(f"        {line}" for line in code.splitlines())
    return agent_drives.write_agent(folder, f"{AGENT}\n    def in_{where}(self):\n{lines}\n")


def limits(reason: str) -> AgentLimits:
    hangs = "did not answer" in reason
    return AgentLimits(6.0 if "6 s" in reason else 60.0, 3.0 if hangs else 60.0, 0.5, 4.0, 20)


@places
@pytest.mark.parametrize("name", SETUP)
def test_an_agent_that_cannot_be_set_up(name: str, sandbox: bool, tmp_path: Path) -> None:
    where, code, reason = SETUP[name]
    path = agent_file(tmp_path, where, code)
    with agent_drives.host(path, sandbox=sandbox, limits=limits(reason)) as host:
        with pytest.raises(AgentFailure, match=re.escape(reason)) as caught:
            agent_drives.begin(host, EVIL)
        assert caught.value.status == COULD_NOT_SET_UP
        drives_well(host)


@places
@pytest.mark.parametrize("name", STEP)
def test_an_agent_that_fails_in_a_step(name: str, sandbox: bool, tmp_path: Path) -> None:
    code, reason = STEP[name]
    path = agent_file(tmp_path, "step", code)
    with agent_drives.host(path, sandbox=sandbox, limits=limits(reason)) as host:
        policy = agent_drives.begin(host, EVIL)
        episode = agent_drives.few_steps(policy)
        assert episode.outcome == Outcome.ABORTED
        assert episode.n_steps == 1, "the step in which it failed is driven with the brake"
        assert float(episode.control["brake"][0]) == 1.0
        assert policy.failure is not None
        assert policy.failure.status == CRASHED
        assert re.search(reason, policy.failure.reason), policy.failure.reason
        assert policy.finish() == ""
        drives_well(host)


@places
def test_what_forked_workers_share_counts_once(sandbox: bool, tmp_path: Path) -> None:
    """Data loaders fork: four that look at their parent's 300 MB take no 1.5 GB."""
    code = (
        "import os, time\nself.kept = b'x' * (300 << 20)\n"
        "for _ in range(4):\n    if os.fork() == 0: time.sleep(60)\ntime.sleep(1.0)"
    )
    path = agent_file(tmp_path, "setup", code)
    with agent_drives.host(path, sandbox=sandbox, limits=AgentLimits(memory=0.5)) as host:
        policy = agent_drives.begin(host, EVIL)
        agent_drives.few_steps(policy)
        assert policy.failure is None


@places
@pytest.mark.parametrize(
    ("code", "reason"), [("raise ValueError('no')", "ValueError: no"), (HANGS, "did not answer")]
)
def test_trouble_in_destroy_costs_nothing(
    code: str, reason: str, sandbox: bool, tmp_path: Path
) -> None:
    path = agent_file(tmp_path, "destroy", code)
    with agent_drives.host(path, sandbox=sandbox, limits=limits(reason)) as host:
        policy = agent_drives.begin(host, EVIL)
        assert agent_drives.few_steps(policy).outcome == Outcome.TRUNCATED
        assert reason in policy.finish()
        assert policy.failure is None
        drives_well(host)


def drives_well(host: agent_drives.AgentHost) -> None:
    """The next route goes on; what is out of range is clipped as CARLA clips it."""
    policy = agent_drives.begin(host, GOOD, route=1)
    episode = agent_drives.few_steps(policy, route=1)
    assert policy.failure is None, policy.failure
    assert episode.outcome == Outcome.TRUNCATED
    assert episode.n_steps == 3
    assert set(episode.control["steer"].tolist()) == {-1.0}  # CARLA's 7 to the right
    assert policy.finish() == ""


def test_bad_sensors_reject_the_entry(tmp_path: Path) -> None:
    path = agent_file(tmp_path, "sensors", "return [{'type': 'sensor.world', 'id': 'w'}]")
    with agent_drives.host(path) as host:
        with pytest.raises(AgentFailure, match=r"sensor\.world") as caught:
            agent_drives.begin(host, EVIL)
        assert caught.value.status == SENSORS_INVALID
        assert caught.value.rejects_entry


def test_the_traceback_and_the_last_output_are_kept(tmp_path: Path) -> None:
    path = agent_file(tmp_path, "step", "print('last words', flush=True)\n1 / 0")
    with agent_drives.host(path) as host:
        policy = agent_drives.begin(host, EVIL)
        agent_drives.few_steps(policy)
        assert policy.failure is not None
        assert "in in_step" in policy.failure.detail
        assert "last words" in policy.failure.detail


@needs_sandbox
def test_the_sandbox_has_no_network_no_others_and_no_way_to_write(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = f"""
    def setup(self, config):
        import os, socket
        for name, tries in {{
            "network": lambda: socket.create_connection(("127.0.0.1", {port}), 2),
            "write": lambda: open(__file__ + ".txt", "w"),
            "root": lambda: open("/usr/drive_il", "w"),
            "memory": lambda: open("/proc/{os.getpid()}/mem", "rb").read(1),
        }}.items():
            try:
                tries()
            except OSError:
                continue
            raise RuntimeError(name + " is open")
        open("/tmp/scratch", "w").write("private")

    def sensors(self):
        return []
"""
        path = agent_drives.write_agent(tmp_path, code)
        with agent_drives.host(path, sandbox=True) as host:
            assert agent_drives.begin(host).failure is None
    assert not Path("/tmp/scratch").exists()


@needs_sandbox
def test_a_relative_config_names_the_same_file_in_the_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.txt").write_text("1.5")
    body = """
    def setup(self, config):
        with open(config) as file:
            self.throttle = float(file.read())

    def sensors(self):
        return []

    def run_step(self, data, timestamp):
        return carla.VehicleControl(throttle=self.throttle)
    """
    path = agent_drives.write_agent(tmp_path, body)
    with agent_drives.host(path, config="weights.txt", sandbox=True) as host:
        policy = agent_drives.begin(host)
        assert agent_drives.few_steps(policy).control["throttle"].tolist() == [1.0] * 3


@needs_sandbox
def test_what_an_agent_forks_in_the_sandbox_ends_with_it(tmp_path: Path) -> None:
    code = """
    def setup(self, config):
        import os, time
        if os.fork() == 0:
            os.setsid()
            os.execvp("sleep", ["sleep", "71.25"])

    def sensors(self):
        return []
"""
    with agent_drives.host(agent_drives.write_agent(tmp_path, code), sandbox=True) as host:
        agent_drives.begin(host)
        assert becomes(1)
    assert becomes(0)


def becomes(n_sleepers: int) -> bool:
    for _ in range(100):
        if sleepers() == n_sleepers:
            return True
        time.sleep(0.1)
    return False


def sleepers() -> int:
    found = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += path.read_bytes() == b"sleep\x0071.25\x00"
        except OSError:
            continue
    return found


def test_untrusted_agents_need_the_sandbox(tmp_path: Path) -> None:
    path = agent_drives.write_agent(tmp_path, AGENT)
    with pytest.raises(ValueError, match="--sandbox"):
        AgentSpec(path, untrusted=True)
