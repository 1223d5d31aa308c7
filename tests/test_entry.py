"""Leaderboard runs: nothing is lost, nothing doubled, and workers change nothing."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drive_il.entry import AGENTS, Entry, hashes, run
from drive_il.evaluation.results_file import load, route_results
from drive_il.evaluation.route_result import Ending
from drive_il.experiments.jobs import Job

ROOT = Path(__file__).parents[1]
N_MOMENTS = 16  # at which a run is killed
BC = str(ROOT / "leaderboard" / "models" / "bc")
ENTRY = Entry(
    agent=str(AGENTS / "follow_route.py"),
    routes=str(ROOT / "routes" / "alder_test.xml"),
    routes_subset="0,1,3,6",
    traffic="10",
    seed=3,
    errors=False,
)


class Unwatched:
    """Nobody looks on."""

    def begin(self, jobs: Sequence[Job], n_finished: int) -> None:
        pass

    def update(self, job: Job, share: float, note: str) -> None:
        pass


def records(document: dict[str, Any]) -> list[dict[str, Any]]:
    """What does not depend on the clock."""
    kept = json.loads(json.dumps(document["_checkpoint"]["records"]))
    for record in kept:
        del record["meta"]["duration_system"], record["drive_il"]["result"]["wall"]
    return list(kept)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A run that nobody disturbed."""
    return run(ENTRY, tmp_path_factory.mktemp("run") / "r.json", False, 1, Unwatched())


def test_a_run_has_a_record_of_each_drive(whole: dict[str, Any]) -> None:
    assert whole["entry_status"] == "Finished"
    assert [one.route for one in route_results(whole)] == ["0", "1", "3", "6"]
    assert whole["sensors"] == ["carla_gnss", "carla_imu", "carla_speedometer"]
    assert whole["drive_il"]["plan"]["options"]["privileged"] == "false"


def test_workers_change_nothing(whole: dict[str, Any], tmp_path: Path) -> None:
    again = run(ENTRY, tmp_path / "r.json", False, 2, Unwatched())
    assert records(again) == records(whole)
    assert again["drive_il"]["scores"] == whole["drive_il"]["scores"]
    assert list(tmp_path.iterdir()) == [tmp_path / "r.json"]  # what was kept beside it is gone


RUNNER = """
import os, sys
from dataclasses import replace
from pathlib import Path

from drive_il.entry import run
from tests.test_entry import ENTRY, Unwatched

out = Path(sys.argv[1])
# Libraries, kernels and map are loaded once; an agent's process each run has for itself.
run(replace(ENTRY, agent="expert", routes_subset="1"), out / "warm.json", False, 1, Unwatched())
for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        run(ENTRY, out / "r.json", True, int(line), Unwatched())
        os._exit(0)
    print(pid, flush=True)
    os.waitpid(pid, 0)
    print("ended", flush=True)
"""
"""runs with --resume, one after the other, in processes of which each can be killed"""


def seen(folder: Path) -> list[tuple[str, int]]:
    """What a run has put down so far; changes as it goes on."""
    parts = folder / ".r.json.parts"
    paths = [folder / "r.json", *(parts.iterdir() if parts.is_dir() else ())]
    return sorted((path.name, path.stat().st_mtime_ns) for path in paths if path.exists())


def wait_for(n_changes: int, folder: Path, pid: int) -> None:
    """Waits until a run has put something down so often, or is over."""
    before, over = seen(folder), time.monotonic() + 100.0
    while n_changes and time.monotonic() < over and Path(f"/proc/{pid}/stat").exists():
        time.sleep(0.002)
        try:
            now = seen(folder)
        except FileNotFoundError:  # renamed between the two looks at it
            continue
        n_changes -= now != before
        before = now


@pytest.mark.slow
def test_a_run_killed_at_any_moment_goes_on(whole: dict[str, Any], tmp_path: Path) -> None:
    """Nothing is lost, nothing doubled, and what has a record is not driven again.

    A moment is so many changes on the disk after the start, and a part of a second more: on a
    busy machine, too, all parts of a run are hit, and few times its start.
    """
    out, draw = tmp_path / "r.json", np.random.default_rng(7)
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert runner.stdin is not None
    assert runner.stdout is not None
    kept: dict[str, Any] = {}
    n_killed, stages = 0, []
    # Until they were different moments; how long each lasts depends on the machine.
    while n_killed < N_MOMENTS or (len({*stages}) < 5 and n_killed < 4 * N_MOMENTS):
        runner.stdin.write("2\n" if n_killed % 8 == 7 else "1\n")
        runner.stdin.flush()
        pid = int(runner.stdout.readline())
        wait_for(int(draw.integers(0, 7)), tmp_path, pid)
        time.sleep(float(draw.uniform(0.0, 0.3)))
        with contextlib.suppress(ProcessLookupError):  # it was over before
            os.kill(pid, signal.SIGKILL)
        assert runner.stdout.readline() == "ended\n"
        document = load(out) if out.exists() else {"entry_status": "none"}  # whole, always
        made = {one["route_id"]: one for one in document.get("_checkpoint", {}).get("records", ())}
        assert kept.items() <= made.items()  # the time that each took, too
        kept = made
        n_killed += document["entry_status"] != "Finished"
        stages.append((document["entry_status"], len(made)))
        if document["entry_status"] == "Finished":
            assert records(document) == records(whole)
            out.unlink()
            kept = {}
    runner.stdin.close()
    runner.wait()
    assert len({*stages}) >= 5, stages
    resumed = run(ENTRY, out, True, 1, Unwatched())
    assert records(resumed) == records(whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.json", "warm.json"]


def test_a_finished_file_is_not_written_over(tmp_path: Path) -> None:
    out = tmp_path / "r.json"
    out.write_text("{}")
    with pytest.raises(ValueError, match="exists: --resume goes on with it"):
        run(ENTRY, out, False, 1, Unwatched())
    assert out.read_text() == "{}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"agent": "nobody.py"}, r"no agent file nobody\.py"),
        ({"agent": "drive_il", "agent_config": "routes"}, "routes is no model folder"),
        ({"agent": "drive_il", "agent_config": BC, "track": "BOTH"}, "tracks .*'BOTH'"),
        ({"track": "BOTH"}, "tracks SENSORS, MAP, .* got 'BOTH'"),
        ({"traffic": "rush hour"}, "knows the crowds standard, got 'rush hour'"),
        ({"untrusted": True}, "add --sandbox"),
        ({"python": "/nowhere/python"}, "no interpreter /nowhere/python"),
        ({"agent": "expert", "sandbox": True}, "no agent in a sandbox"),
        ({"memory": -1.0}, "memory must be positive"),
    ],
)
def test_what_cannot_be_driven_is_said_before_a_worker_is_started(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        run(replace(ENTRY, **change), tmp_path / "r.json", False, 2, Unwatched())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", [{"agent_config": "other words"}, {"errors": True}])
def test_a_run_is_not_resumed_with_another_config_or_other_measurements(
    change: dict[str, Any], whole: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "r.json"
    out.write_text(json.dumps(whole))
    with pytest.raises(ValueError, match="cannot be resumed: its run had (config|errors)"):
        run(replace(ENTRY, **change), out, True, 1, Unwatched())


def test_a_configs_files_decide_a_run_wherever_they_lie(tmp_path: Path) -> None:
    """Bench2Drive's agents split their config at the plus."""
    found = []
    for folder, weights in (("a", "1"), ("b", "1"), ("c", "2")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "net.py").write_text("")
        (tmp_path / folder / "w.pth").write_text(weights)
        config = f"{tmp_path}/{folder}/net.py+{tmp_path}/{folder}/w.pth"
        found.append(hashes(replace(ENTRY, agent_config=config))["agent_sha256"])
    assert found[0] == found[1] != found[2]


def test_a_config_folder_is_hashed_whole(tmp_path: Path) -> None:
    """Whatever lies below it, by name and bytes; not what Python and git write there."""

    def hashed() -> str:
        return hashes(replace(ENTRY, agent_config=str(tmp_path)))["agent_sha256"]

    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "w.pth").write_text("1")
    found = [hashed()]
    (tmp_path / "a" / "b" / "w.pth").write_text("2")
    found.append(hashed())
    (tmp_path / "a" / "b" / "w.pth").rename(tmp_path / "a" / "w.pth")
    found.append(hashed())
    assert len({*found}) == 3
    (tmp_path / "a" / "__pycache__").mkdir()
    (tmp_path / "a" / "__pycache__" / "net.pyc").write_text("")
    assert hashed() == found[-1]


def test_a_config_folder_that_holds_all_the_world_is_refused(tmp_path: Path) -> None:
    (tmp_path / "round").symlink_to(tmp_path)  # within itself, without an end
    for k in range(400):
        (tmp_path / f"{k}.png").write_bytes(b"")
    with pytest.raises(ValueError, match="holds more than 10000 files"):
        hashes(replace(ENTRY, agent_config=str(tmp_path)))


def test_invalid_sensors_reject_the_entry_at_once(tmp_path: Path) -> None:
    agent = tmp_path / "agent.py"
    agent.write_text(
        "from leaderboard.autoagents.autonomous_agent import AutonomousAgent\n"
        "def get_entry_point():\n    return 'Far'\n"
        "class Far(AutonomousAgent):\n"
        "    def sensors(self):\n"
        "        return [{'type': 'sensor.other.gnss', 'id': 'g', 'x': 9.0, 'y': 0.0, 'z': 0.0}]\n"
    )
    document = run(replace(ENTRY, agent=str(agent)), tmp_path / "r.json", False, 1, Unwatched())
    assert document["entry_status"] == "Rejected"
    (only,) = route_results(document)
    assert only.ending == Ending.BAD_SENSORS
    assert document["eligible"] is False
    [record] = document["_checkpoint"]["records"]
    assert "3" in record["drive_il"]["failure"]["reason"]  # the radius that was passed [m]


def test_the_expert_beside_itself_has_no_errors(tmp_path: Path) -> None:
    entry = replace(ENTRY, agent="expert", errors=True, traffic="none", routes_subset="0,2")
    document = run(entry, tmp_path / "r.json", False, 1, Unwatched())
    found = document["drive_il"]["compounding"]
    assert (found["n_drives"], found["eps_own"]["value"], found["bounds"]["gap"]) == (2, 0.0, 0.0)
    assert document["drive_il"]["plan"]["options"]["privileged"] == "true"


def test_routes_are_chosen_by_their_ids() -> None:
    assert [route.id for route in replace(ENTRY, routes_subset="2,0-1").loaded_routes()] == [
        "0",
        "1",
        "2",
    ]
    with pytest.raises(ValueError, match="'77' names no route; the file has the ids 0 to"):
        replace(ENTRY, routes_subset="77").loaded_routes()


def test_traffic_is_none_a_number_or_what_the_protocol_has() -> None:
    network = ENTRY.loaded_routes()[0].town
    assert network == "alder"
    from drive_il.maps import library

    alder = library.load("alder")
    assert replace(ENTRY, traffic="none").crowd(alder).vehicles == 0
    assert replace(ENTRY, traffic="none").crowd(alder).signals
    assert ENTRY.crowd(alder).vehicles == 10
    assert replace(ENTRY, traffic="protocol").crowd(alder).vehicles > 50
    with pytest.raises(ValueError, match="knows the crowds"):
        replace(ENTRY, traffic="rush hour").crowd(alder)
