"""The command line: help that teaches, exit codes, lazy imports, one clear line for bad input."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from drive_il.cli import _COMMANDS, _Command, _Group, _Tree, leaderboard, main, progress
from drive_il.evaluation.protocol import LB21
from drive_il.evaluation.results_file import Plan, ResultsFile
from drive_il.evaluation.route_result import Ending
from tests.test_scoring import drive

ROOT = Path(__file__).parents[1]


def commands(tree: _Tree = _COMMANDS, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, entry in tree.items():
        if isinstance(entry, _Group):
            yield from commands(entry.commands, (*words, name))
        else:
            assert isinstance(entry, _Command)
            yield (*words, name)


def code_of(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(words)
    return int(caught.value.code or 0)


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_help_teaches(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(*words, "--help") == 0
    text = capsys.readouterr().out
    assert "usage: drive-il" in text
    assert len(text.splitlines()) >= 4


def test_bad_usage_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("no-such-command") == 2
    assert code_of("maps") == 2
    assert code_of("maps", "show") == 2
    assert code_of("evaluate", "expert", "--routes") == 2
    assert "maps" in capsys.readouterr().err


def test_failure_is_1_and_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    bad = tmp_path / "bad.xodr"
    bad.write_text("<OpenDRIVE>")
    for words in (
        ("maps", "show", "atlantis"),
        ("maps", "import", str(bad)),
        ("maps", "import", str(tmp_path / "none.xodr")),
        ("dataset", "info", str(tmp_path / "none")),
        ("evaluate", "expert", "--routes", str(tmp_path / "none.xml")),
        ("evaluate", str(tmp_path / "none"), "--routes", str(ROOT / "routes/dell.xml")),
    ):
        assert code_of(*words) == 1
        error = capsys.readouterr().err
        assert error.startswith("drive-il: ")
        assert error.count("\n") == 1, error


WORKING: dict[str, tuple[str, ...]] = {
    "leaderboard run": ("--agent", "expert", "--routes", str(ROOT / "routes/dell.xml")),
    "leaderboard submit": ("results.json", "--name", "Me", "--date", "2026-03-01"),
    "leaderboard baselines": ("--date", "2026-03-01"),
    "certify": ("expert", "--routes", str(ROOT / "routes/dell.xml")),
    **{f"reproduce {name}": () for name in _COMMANDS["reproduce"].commands},
}
"""each command that takes --workers, with what else it needs"""


def test_every_command_with_workers_is_among_them(capsys: pytest.CaptureFixture[str]) -> None:
    for words in commands():
        assert code_of(*words, "--help") == 0
        assert (" --workers " in capsys.readouterr().out) == (" ".join(words) in WORKING)


@pytest.mark.parametrize("command", WORKING)
def test_fewer_workers_than_none_are_bad_usage(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(*command.split(), *WORKING[command], "--workers", "-3") == 2
    error = capsys.readouterr().err
    assert error.startswith("drive-il: workers must be ")
    assert error.endswith(" got -3\n")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--version"])
    assert capsys.readouterr().out.startswith("drive-il 0.")


@pytest.mark.parametrize(
    "words",
    [["maps", "list"], ["--help"], ["maps", "show", "--help"], ["record", "--help"]],
    ids=" ".join,
)
def test_light_commands_load_no_torch(words: list[str]) -> None:
    code = (
        "import sys\nfrom drive_il.cli import main\n"
        f"try:\n    main({words!r})\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('torch', 'carla', 'pygame') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_maps_list_show_generate(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    main(["maps", "list"])
    listed = capsys.readouterr().out
    assert all(name in listed for name in ("alder", "birch", "cedar", "dell"))
    picture = tmp_path / "dell.png"
    main(["maps", "show", "dell", "--out", str(picture)])
    assert picture.read_bytes().startswith(b"\x89PNG")
    town = tmp_path / "town.xodr"
    main(["maps", "generate", "--style", "country", "--seed", "3", "--out", str(town)])
    assert "<OpenDRIVE" in town.read_text()


def test_record_then_look_then_evaluate(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    data = tmp_path / "data"
    words = ["record", "--town", "dell", "--out", str(data), "--sensors", "camera"]
    words += ["--episodes", "3", "--max-steps", "40"]
    main(words)
    assert "3 episodes recorded" in capsys.readouterr().out
    main(words)
    assert "0 episodes recorded, 3 were there before" in capsys.readouterr().out
    main(["dataset", "info", str(data)])
    assert "120" in capsys.readouterr().out
    main(["dataset", "verify", str(data)])
    assert "all whole" in capsys.readouterr().out
    damaged = sorted(data.glob("*.parquet"))[1]
    damaged.write_bytes(damaged.read_bytes()[:-100])
    assert code_of("dataset", "verify", str(data)) == 1
    assert damaged.name in capsys.readouterr().out


def test_evaluate_expert_writes_what_it_says(tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    main(["evaluate", "expert", "--routes", str(ROOT / "routes/dell.xml"), "--json", str(out)])
    result = json.loads(out.read_text())
    assert result["summary"]["route_completion"] == 100.0
    for route in result["routes"]:
        assert route["outcome"] == "completed"
        assert 0.0 <= route["max_lateral_error"] < 0.3
        assert route["town"] == "dell"


def test_show_says_why_an_agent_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each reason once, with what was printed last: else it stood in the file alone."""
    plan = Plan(LB21, tuple((str(k), 0) for k in range(4)), 7, {"alder": "abc"}, "me.py")
    file = ResultsFile(tmp_path / "r.json", plan)
    crashed = {"reason": "KeyError: 'gps'", "detail": "Traceback ...\n  line 7\nKeyError: 'gps'"}
    for k, told in enumerate([{"failure": crashed}, {}, {"failure": crashed}]):
        file.add(replace(drive(route=str(k)), ending=Ending.AGENT_CRASHED), told)
    hung = {"reason": "it did not answer within 60 s", "detail": ""}
    file.add(replace(drive(route="3"), ending=Ending.AGENT_CRASHED), {"failure": hung})
    file.finish()
    leaderboard.show(tmp_path / "r.json")
    told = capsys.readouterr().out
    assert "route 0 and 1 more: KeyError: 'gps'\n    Traceback ...\n      line 7\n" in told
    assert "route 3: it did not answer within 60 s\n" in told


def test_without_a_terminal_bars_are_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_LINE_EVERY", 0.0)
    with progress.told_bar("reading") as told:
        told(3, 12)
        told(6, 12)
    lines = capsys.readouterr().err.splitlines()
    assert [" ".join(line.split()[:2]) for line in lines[:2]] == ["reading 3/12", "reading 6/12"]
    assert "left" in lines[0]
