"""What the README shows runs as it stands."""

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def blocks() -> list[str]:
    """The Python in the README, piece by piece."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def test_the_quickstart_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _ = blocks()
    monkeypatch.chdir(ROOT)
    exec(compile(code, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "(101, 64, 96, 3)" in printed
    first, last = (float(number) for number in printed.split("[")[1].rstrip("]\n").split())
    assert first == pytest.approx(0.5)
    assert abs(last) < 0.25  # it comes back to its lane


def test_the_gymnasium_example_runs() -> None:
    _, code = blocks()
    names: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["seen"]["rgb"].shape == (64, 96, 3)
    assert set(names["seen"]) == {"rgb", "speed", "command"}
    assert names["many"].num_envs == 64


def test_every_command_of_the_readme_exists() -> None:
    from drive_il.cli import _COMMANDS, _Group

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"^drive-il ([a-z-]+)(?: ([a-z-]+))?", text, re.MULTILINE)
    assert len(shown) >= 6
    for command, word in shown:
        entry = _COMMANDS[command]
        if isinstance(entry, _Group):
            assert word in entry.commands
