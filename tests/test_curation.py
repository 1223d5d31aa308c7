"""Merging, splitting, reviewing and mending data sets, and looking at them."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from drive_il.cli import main
from drive_il.cli.review import ask
from drive_il.curation import merging, pictures, splitting, statistics
from drive_il.curation.repair import repair
from drive_il.curation.review import Decision, Review, apply, shortened
from drive_il.dataset import Dataset, EpisodeWriter
from drive_il.dataset_file import EpisodeFile
from drive_il.datatypes import Outcome
from tests.demonstrations import small_set


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_set(tmp_path_factory.mktemp("curation") / "source", 6, 30)


@pytest.fixture
def data(source: Path, tmp_path: Path) -> Path:
    """A copy that may be spoilt."""
    for path in source.iterdir():
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / path.name).write_bytes(path.read_bytes())
    return tmp_path / "data"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


# ---------------------------------------------------------------- statistics and pictures


def test_statistics_are_those_of_the_episodes(source: Path) -> None:
    episodes = list(Dataset(source).episodes())
    found = statistics.statistics(Dataset(source))
    steer = np.concatenate([episode.expert_control["steer"] for episode in episodes])
    assert found.steer.tobytes() == steer.tobytes()  # every state is labelled
    summary = found.summary()
    assert summary["steps"] == summary["labels"] == len(steer) == sum(summary["who"].values())
    assert summary["straight_share"] == (np.abs(steer) < 0.02).mean()
    assert summary["quantiles"]["speed"]["0.5"] == np.median(
        np.concatenate([episode.ego["speed"][:-1] for episode in episodes])
    )
    assert summary["routes"] == 2
    assert sum(summary["outcomes"].values()) == 6


def test_statistics_and_views_by_the_command_line(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot, out = tmp_path / "plot.png", tmp_path / "stats.json"
    main(["dataset", "stats", str(source), "--plot", str(plot), "--out", str(out), "--episodes"])
    assert json.loads(out.read_text())["episodes"] == 6
    assert Image.open(plot).size[0] > 800
    assert "straight on" in capsys.readouterr().out
    for name in ("strip.png", "clip.mp4"):
        main(["dataset", "view", str(source), "--episode", "1", "--out", str(tmp_path / name)])
    with av.open(str(tmp_path / "clip.mp4")) as clip:
        assert clip.streams.video[0].height >= 320
        assert len(list(clip.decode(video=0))) == Dataset(source).load(1).n_steps


def test_an_episode_without_pictures_shows_its_curves(source: Path, tmp_path: Path) -> None:
    blind = replace(Dataset(source).load(0), observations={})
    pictures.view(blind, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").exists()
    with pytest.raises(ValueError, match="recorded without pictures"):
        pictures.view(blind, tmp_path / "clip.mp4")
    with pytest.raises(ValueError, match=r"no pictures called 'back'; it has \['rgb'\]"):
        pictures.view(Dataset(source).load(0), tmp_path / "x.png", "back")
    with pytest.raises(ValueError, match="ends in .mp4, .gif or .png, got 'x.avi'"):
        pictures.view(Dataset(source).load(0), tmp_path / "x.avi")


# ------------------------------------------------------------------- merging and splitting


def test_what_is_split_merges_to_what_it_was(source: Path, tmp_path: Path) -> None:
    shares = {"train": 0.5, "test": 0.5}
    assert splitting.split(Dataset(source), tmp_path / "parts", shares) == {"train": 3, "test": 3}
    parts = [Dataset(tmp_path / "parts" / name) for name in shares]
    done = merging.merge(parts, tmp_path / "again")
    assert (done.n_episodes, done.n_same) == (6, 0)
    assert contents(tmp_path / "again") == contents(source)
    assert merging.merge([*parts, parts[0]], tmp_path / "twice").n_same == 3


def test_by_route_no_route_is_on_both_sides(source: Path, tmp_path: Path) -> None:
    shares = {"train": 0.7, "test": 0.3}
    splitting.split(Dataset(source), tmp_path / "parts", shares, seed=4, by="route")
    routes = [
        {EpisodeFile(path).header["spec"]["route"]["id"] for path in Dataset(folder).paths}
        for folder in (tmp_path / "parts" / "train", tmp_path / "parts" / "test")
    ]
    assert not routes[0] & routes[1]
    facts = json.loads((tmp_path / "parts" / splitting.SPLIT).read_text())
    assert (facts["seed"], facts["by"]) == (4, "route")
    with pytest.raises(ValueError, match="2 groups cannot be divided into 3 parts"):
        splitting.assign(["a", "b", "a"], {"x": 0.4, "y": 0.3, "z": 0.3}, 0)
    with pytest.raises(ValueError, match="add up to 1.1"):
        splitting.assign(["a", "b"], {"x": 0.4, "y": 0.7}, 0)


@given(
    groups=st.lists(st.integers(0, 12), min_size=1, max_size=60),
    share=st.floats(0.05, 0.95),
    seed=st.integers(0, 1000),
)
def test_a_split_is_a_partition_near_its_shares(groups: list[int], share: float, seed: int) -> None:
    names = [str(group) for group in groups]
    shares = {"a": share, "b": 1.0 - share}
    if len(set(names)) < 2:
        return
    parts = splitting.assign(names, shares, seed)
    assert sorted(parts["a"] + parts["b"]) == list(range(len(names)))
    assert not {names[i] for i in parts["a"]} & {names[i] for i in parts["b"]}
    assert parts == splitting.assign(names, shares, seed)
    largest = max(names.count(name) for name in names)
    assert abs(len(parts["a"]) - share * len(names)) <= max(largest, 1) + 1e-9


def test_what_cannot_be_merged_is_named(source: Path, tmp_path: Path) -> None:
    episode = Dataset(source).load(0)
    speed = episode.observations["speed"].astype(np.float64)
    other = replace(episode, observations=dict(episode.observations) | {"speed": speed})
    EpisodeWriter(tmp_path / "sensors")(other)
    EpisodeWriter(tmp_path / "step")(replace(episode, dt=0.1))
    EpisodeWriter(tmp_path / "drive")(replace(episode, outcome=Outcome.ABORTED))
    for name, match in (
        ("sensors", r"speed as float64 \[\].*speed as float32|has speed as float64"),
        ("step", "has steps of 0.1 s"),
        ("drive", "different drives of the same episode"),
    ):
        with pytest.raises(ValueError, match=match):
            merging.merge([Dataset(source), Dataset(tmp_path / name)], tmp_path / "out")
        assert not (tmp_path / "out").exists()


# ----------------------------------------------------------------------------------- review


def test_decisions_become_a_data_set(data: Path, tmp_path: Path) -> None:
    before = contents(data)
    words = ["dataset", "review", str(data)]
    main([*words, "--episode", "0", "--drop"])
    main([*words, "--episode", "1", "--cut", "5", "20", "--label", "night", "clean"])
    main([*words, "--episode", "2", "--keep", "--note", "very good"])
    main([*words, "--apply", str(tmp_path / "chosen"), "--list"])
    names = [path.name for path in Dataset(data).paths]
    assert {name: contents(data)[name] for name in before} == before
    chosen = Dataset(tmp_path / "chosen")
    assert [path.name for path in chosen.paths] == names[1:]
    whole, cut = Dataset(data).load(1), chosen.load(0)
    assert cut.n_steps == 15
    assert cut.ego.tobytes() == whole.ego[5:21].tobytes()
    assert cut.expert_control.tobytes() == whole.expert_control[5:20].tobytes()
    assert cut.outcome == Outcome.ABORTED
    facts = EpisodeFile(chosen.paths[0]).header["facts"]
    assert facts["review"]["labels"] == ["night", "clean"]
    assert facts["commit"] == "abc"
    assert chosen.verify() == []
    assert contents(chosen.folder)[names[3]] == before[names[3]]  # untouched where undecided
    assert statistics.statistics(chosen).summary()["reviewed"] == {"night": 1, "clean": 1}


def test_a_sitting_by_keys(data: Path) -> None:
    lines = iter(["", "c 3 9", "c 9 3", "l night", "k", "d", "s", "w", "q"])
    ask(Review(Dataset(data)), Dataset(data).paths, lambda prompt: next(lines))
    names = [path.stem for path in Dataset(data).paths]
    decisions = Review(Dataset(data)).decisions
    assert decisions == {
        names[0]: Decision(True, (3, 9), ("night",)),
        names[1]: Decision(False),
    }
    assert Review(Dataset(data)).undecided() == names[2:]


def test_cutting_the_beginning_keeps_how_it_ended(source: Path) -> None:
    episode = Dataset(source).load(0)
    end = shortened(episode, 4, episode.n_steps)
    assert end.outcome == episode.outcome
    assert end.ego[-1] == episode.ego[-1]
    assert len(end.observations["rgb"]) == end.n_steps + 1


def test_decisions_that_cannot_be_are_named(data: Path, tmp_path: Path) -> None:
    review = Review(Dataset(data))
    path = Dataset(data).paths[0]
    with pytest.raises(ValueError, match=r"0 <= FIRST < LAST <= \d+, got 5 900"):
        review.decide(path, Decision(cut=(5, 900)))
    with pytest.raises(ValueError, match="6 episodes begin so"):
        review.find("straight")
    with pytest.raises(ValueError, match="there is no such episode"):
        review.find("cedar")
    for path in Dataset(data).paths:
        review.decide(path, Decision(keep=False))
    with pytest.raises(ValueError, match="all 6 episodes .* were dropped"):
        apply(review, tmp_path / "none")
    (data / "review.json").write_text("{")
    with pytest.raises(ValueError, match=r"review.json is damaged"):
        Review(Dataset(data))


# ----------------------------------------------------------------------------------- repair


def test_repair_rescues_what_is_whole_and_deletes_nothing(data: Path) -> None:
    paths = Dataset(data).paths
    before = contents(data)
    paths[0].rename(data / f".{paths[0].name}.77.tmp")  # killed before it was renamed
    half = data / f".{paths[1].name}.78.tmp"
    half.write_bytes(before[paths[1].name][:2000])  # killed while it was written
    paths[2].rename(data / "renamed.parquet")
    spoilt = bytearray(before[paths[3].name])
    spoilt[3000] ^= 0xFF
    paths[3].write_bytes(spoilt)
    done = repair(data)
    assert done.whole == 3
    assert sorted(done.rescued) == sorted([paths[0].name, paths[2].name])
    assert set(done.aside) == {half.name, paths[3].name}
    kept = {name: content for name, content in before.items() if name != paths[3].name}
    assert contents(data) == kept
    assert len(list((data / "damaged").iterdir())) == 2
    assert Dataset(data).verify() == []
    again = repair(data)
    assert (again.whole, again.rescued, again.aside) == (5, [], {})


RECORDER = """
import sys
from dataclasses import replace
from drive_il.dataset import Dataset, EpisodeWriter

episodes = list(Dataset(sys.argv[1]).episodes())
writer = EpisodeWriter(sys.argv[2])
for i in range(100000):
    episode = episodes[i % len(episodes)]
    episode = replace(episode, spec=replace(episode.spec, seed=i))
    print("finished", flush=True)
    writer(episode)
    print("written", flush=True)
"""


@pytest.mark.parametrize("moment", [1, 6, 13, 29])
def test_a_recorder_killed_at_any_moment_loses_no_written_episode(
    source: Path, tmp_path: Path, moment: int
) -> None:
    recorder = subprocess.Popen(
        [sys.executable, "-c", RECORDER, str(source), str(tmp_path / "data")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert recorder.stdout is not None
    said: list[str] = []
    while said.count("written\n") < moment:
        said.append(recorder.stdout.readline())
        assert said[-1], "the recorder ended by itself"
    time.sleep(0.0007 * moment)  # somewhere in the next episodes
    os.kill(recorder.pid, signal.SIGKILL)
    said += recorder.stdout.readlines()
    recorder.wait()
    repair(tmp_path / "data")
    dataset = Dataset(tmp_path / "data")
    assert dataset.verify() == []
    written, finished = said.count("written\n"), said.count("finished\n")
    assert written <= len(dataset) <= finished <= written + 1
