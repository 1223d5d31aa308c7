"""drive-il replay: a recorded drive comes out again bit for bit, or it is said that it does not."""

from dataclasses import replace
from pathlib import Path

import pytest

from drive_il.actors import Traffic
from drive_il.cli.replay import View, replay
from drive_il.dataset import EpisodeWriter
from drive_il.dataset_file import EpisodeFile
from drive_il.datatypes import EpisodeSpec
from drive_il.experts.planner import Planner
from drive_il.gates import ExpertDrives
from drive_il.maps import library, routes
from drive_il.rollout import drive
from drive_il.sim.world import World
from tests.test_results_file import PLAN
from tests.test_scoring import drive as judged

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An episode file: the expert for three seconds among others."""
    folder = tmp_path_factory.mktemp("episodes")
    network = library.load("alder")
    [route, *_] = routes.load_routes(ROOT / "routes" / "alder_test.xml", library.load)
    spec = EpisodeSpec(route, seed=5, max_steps=60, traffic=Traffic(vehicles=10, walkers=5))
    drive(
        World(network, 1),
        None,
        None,
        [spec],
        expert=Planner(network=network),
        gate=ExpertDrives(),
        keep_observations=False,
        sink=EpisodeWriter(folder),
    )
    [path] = folder.iterdir()
    return path


def test_every_bit_comes_out_again(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replay(recorded, out=tmp_path / "a.gif", view=View(width=96, x=-7.0, z=3.0, pitch=-12.0))
    assert "61 states driven again, every bit as recorded" in capsys.readouterr().out
    assert (tmp_path / "a.gif").stat().st_size > 10_000


def test_a_drive_that_was_changed_is_found_out(recorded: Path, tmp_path: Path) -> None:
    episode = EpisodeFile(recorded).load()
    episode.control["steer"][30] += 1e-9
    EpisodeWriter(tmp_path)(replace(episode))
    [path] = tmp_path.iterdir()
    with pytest.raises(RuntimeError, match="came out differently from step 31 on"):
        replay(path)


def test_a_results_file_names_the_drive(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from drive_il.evaluation.results_file import ResultsFile

    out = tmp_path / "r.json"
    file = ResultsFile(out, PLAN)
    file.add(judged(), {"episode": recorded.name})
    file.add(judged(route="2"))
    file.finish("Finished", {"entry": {"record": str(recorded.parent)}})
    replay(out, route="1")
    assert "every bit" in capsys.readouterr().out
    with pytest.raises(ValueError, match="no drive of route '7', repetition 0; --route takes one"):
        replay(out, route="7")
    with pytest.raises(ValueError, match="run it again with --record"):
        replay(out, route="2")


def test_a_clip_needs_even_sizes() -> None:
    with pytest.raises(ValueError, match="even width and height, got 97x64"):
        View(width=97).camera()
