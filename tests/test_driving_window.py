"""drive-il drive and teach in a real window with real keys, under Xvfb.

Nothing here depends on how many pictures a second the machine draws: keys are held until the
drive, by its own clock, has gone on for long enough.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from drive_il.dataset import Dataset
from drive_il.dataset_file import EpisodeFile
from drive_il.datatypes import Outcome, Who
from drive_il.rollout import scene_of
from tests.driven_window import Screen, needs_screen


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[Screen]:
    one = Screen(tmp_path)
    yield one
    one.close()


@needs_screen
def test_a_drive_with_keys_is_recorded_taken_back_and_judged(screen: Screen) -> None:
    folder = screen.folder / "drives"
    options = ["--guided", "never", "--traffic", "3", "--walkers", "0", "--who", "ada"]
    screen.start("drive", "--record", str(folder), "--input", "keyboard", *options)
    screen.wait("the first second", lambda: screen.seconds() >= 0)
    cockpit = screen.picture()
    screen.xdotool("keydown", "w")
    screen.wait_seconds(3)
    screen.xdotool("keydown", "a")
    screen.wait_seconds(1)
    screen.xdotool("keyup", "a")
    screen.xdotool("keyup", "w")
    screen.xdotool("key", "Tab")
    screen.wait_change(cockpit, "another view")
    screen.xdotool("key", "z")
    screen.wait("the bar to go back with", lambda: _is_dark(screen.picture(), 490, 510))
    latest = screen.picture()
    screen.xdotool("keydown", "Left")
    screen.wait_change(latest, "an earlier moment")
    screen.xdotool("keyup", "Left")
    screen.xdotool("key", "Return")
    screen.wait("the drive to go on", lambda: not _is_dark(screen.picture(), 490, 510))
    screen.wait_seconds(1)
    screen.xdotool("key", "Escape")
    screen.wait("the episode's file", lambda: any(folder.glob("*.parquet")))
    screen.wait("the page at the end", lambda: _is_dark(screen.picture(), 330, 390))
    screen.xdotool("key", "Escape")
    assert f"kept {folder}" in screen.ended()
    [episode] = Dataset(folder).episodes()
    assert (episode.who == Who.HUMAN).all()
    assert episode.asked.all()
    assert episode.control["throttle"].max() == 1.0
    assert episode.outcome == Outcome.ABORTED
    assert episode.observations["rgb"].shape == (episode.n_steps + 1, 64, 96, 3)
    facts = EpisodeFile(Dataset(folder).paths[0]).header["facts"]
    assert (facts["who"], facts["device"]) == ("ada", "keyboard")
    [back] = facts["taken_back"]
    assert back["to"] < back["from"]
    assert scene_of(episode).n_rows == episode.n_steps + 1


def _is_dark(picture: np.ndarray, top: int, bottom: int) -> bool:
    """Whether some rows in the middle have been darkened, to be written on."""
    return bool(picture[top:bottom, 300:980].mean() < 60)


def test_without_a_display_it_is_said_what_to_do(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    env |= {"DRIVE_IL_DATA": str(tmp_path), "SDL_VIDEODRIVER": "x11"}
    done = subprocess.run(
        [sys.executable, "-m", "drive_il", "drive", "--traffic", "0", "--walkers", "0"],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1
    assert "no window can be opened" in done.stderr
    assert "xvfb-run" in done.stderr


@needs_screen
def test_torch_can_learn_while_a_window_is_open(screen: Screen) -> None:
    """An OpenGL driver in software brings its own LLVM, beside which torch's crashes."""
    code = (
        "from drive_il.display.screen import Screen; import torch; "
        "one = Screen('test', (320, 240)); one.flip(); "
        "torch.use_deterministic_algorithms(True); print('fine')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=screen.env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert "fine" in done.stdout
