"""Episodes on disk come back as they were, damage is found, batches are complete."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drive_il.dataset import Dataset, EpisodeWriter, stray_files
from drive_il.dataset_file import EpisodeFile, episode_id
from drive_il.datatypes import Array, Episode, EpisodeSpec, Outcome, Start
from drive_il.experts.planner import Planner
from drive_il.fit import Batches, labelled_frames
from drive_il.gates import ExpertDrives, Mixture
from drive_il.rollout import drive
from drive_il.sim import World
from tests.drives import PoseObserver, Wobbly, assert_same, completed, make_route, specs_on
from tests.roads import straight_road

ROUTES = [make_route([(150, 0)], id="a/../b"), make_route([(20, 0), (60, 0.02)], id="b")]
SPECS = specs_on(ROUTES, 6, max_steps=300)


def demonstrations(specs: list[EpisodeSpec], **options: object) -> list[Episode]:
    arguments = {"expert": Planner(), "gate": Mixture(0.5), "stop": completed} | options
    return drive(World(straight_road(), 4), PoseObserver(), Wobbly(), specs, **arguments)


@pytest.fixture(scope="module")
def episodes() -> list[Episode]:
    return demonstrations(SPECS)


@pytest.fixture
def folder(tmp_path: Path, episodes: list[Episode]) -> Path:
    writer = EpisodeWriter(tmp_path / "data", facts={"commit": "abc"})
    for episode in episodes:
        writer(episode)
    return tmp_path / "data"


def by_file(folder: Path, episodes: list[Episode]) -> list[Episode]:
    return sorted(episodes, key=lambda episode: episode_id(episode.spec))


def test_what_is_loaded_is_what_was_stored(folder: Path, episodes: list[Episode]) -> None:
    dataset = Dataset(folder)
    assert len(dataset) == len(episodes)
    for a, b in zip(by_file(folder, episodes), dataset.episodes(), strict=True):
        assert b.spec.route.points.tobytes() == a.spec.route.points.tobytes()
        assert b.spec.route.points.dtype == a.spec.route.points.dtype
        assert (b.spec.seed, b.spec.max_steps, b.spec.start) == (
            a.spec.seed,
            a.spec.max_steps,
            a.spec.start,
        )
        assert_same(a, replace(b, spec=a.spec))
    assert dataset.load(0).spec.route is dataset.load(0).spec.route
    assert EpisodeFile(dataset.paths[0]).header["facts"] == {"commit": "abc"}


def test_a_stored_episode_drives_again_to_the_same_bits(folder: Path) -> None:
    stored = Dataset(folder).load(3)
    assert_same(stored, demonstrations([stored.spec])[0])


@settings(max_examples=10, deadline=None)
@given(n_steps=st.integers(0, 300), seed=st.integers(0, 2**64 - 1))
def test_any_length_round_trips(
    n_steps: int, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = _long_episode()
    spec = EpisodeSpec(whole.spec.route, seed, 400, Start(1.5, -0.25, 0.125, 3.0))
    episode = replace(
        whole,
        spec=spec,
        **{
            name: getattr(whole, name)[: n_steps + 1]
            for name in ("ego", "progress", "weather", "vehicles", "walkers", "lights", "events")
        },
        **{
            name: getattr(whole, name)[:n_steps]
            for name in ("control", "policy_control", "expert_control", "who", "asked")
        },
        observations={name: value[: n_steps + 1] for name, value in whole.observations.items()},
        info={name: value[:n_steps] for name, value in whole.info.items()},
    )
    folder = tmp_path_factory.mktemp("round")
    EpisodeWriter(folder)(episode)
    loaded = Dataset(folder).load(0)
    assert (loaded.spec.seed, loaded.spec.start) == (spec.seed, spec.start)
    assert_same(episode, replace(loaded, spec=spec))
    assert Dataset(folder).verify() == []


def _long_episode() -> Episode:
    spec = EpisodeSpec(ROUTES[0], max_steps=300)
    return demonstrations([spec], stop=None)[0]


def test_recording_goes_on_where_it_stopped(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path)
    demonstrations(SPECS[:2], sink=writer)
    assert writer.missing(SPECS) == SPECS[2:]
    with pytest.raises(ValueError, match="overwrite"):
        demonstrations(SPECS[:1], sink=writer)
    demonstrations(SPECS[:1], sink=EpisodeWriter(tmp_path, overwrite=True))
    demonstrations(writer.missing(SPECS), sink=writer)
    assert len(Dataset(tmp_path)) == len(SPECS)
    assert Dataset(tmp_path).verify() == []


def test_an_identity_changes_with_everything_that_decides_an_episode() -> None:
    spec = SPECS[0]
    bent = replace(spec.route, points=spec.route.points.copy())
    bent.points["y"][1] += 1e-9
    others = [
        replace(spec, seed=7),
        replace(spec, max_steps=9),
        replace(spec, start=Start(s=1.0)),
        replace(spec, route=bent),
        replace(spec, route=replace(spec.route, town="other")),
    ]
    names = {episode_id(each) for each in [spec, *others]}
    assert len(names) == 6
    assert all("/" not in name and not name.startswith(".") for name in names)


def test_info_counts(folder: Path, episodes: list[Episode]) -> None:
    info = Dataset(folder).info()
    n_steps = sum(episode.n_steps for episode in episodes)
    assert info["episodes"] == 6
    assert info["steps"] == info["labels"] == n_steps == sum(info["commands"].values())
    assert info["towns"] == {"straight": 6}
    assert info["sensors"]["rgb"] == {"dtype": "uint8", "shape": [2, 4, 3]}
    assert info["sensors"]["speed"] == {"dtype": "float32", "shape": []}
    assert info["bytes"] == sum(path.stat().st_size for path in folder.iterdir())


def test_verify_finds_each_damage(folder: Path) -> None:
    assert Dataset(folder).verify() == []
    paths = Dataset(folder).paths
    (folder / ".x.parquet.123.tmp").write_bytes(b"half")
    paths[0].write_bytes(paths[0].read_bytes()[:5000])  # truncated
    data = bytearray(paths[1].read_bytes())
    data[3000] ^= 0xFF  # one flipped byte in a page
    paths[1].write_bytes(data)
    paths[2].rename(folder / "another-name.parquet")
    problems = Dataset(folder).verify()
    assert len(problems) == 4, problems
    assert any("left behind" in problem for problem in problems)
    assert sum("damaged" in problem for problem in problems) == 2
    assert any(problem.startswith("another-name") and "renamed" in problem for problem in problems)
    assert stray_files(folder) == [folder / ".x.parquet.123.tmp"]
    assert len(Dataset(folder)) == 6  # the temporary file is no episode


def test_verify_finds_values_that_are_not_finite(tmp_path: Path, episodes: list[Episode]) -> None:
    ego = episodes[0].ego.copy()
    ego["speed"][4] = np.nan
    EpisodeWriter(tmp_path)(replace(episodes[0], ego=ego))
    problems = Dataset(tmp_path).verify()
    assert len(problems) == 1
    assert "ego.speed is nan at row 4" in problems[0]


def test_unusable_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no folder; record"):
        Dataset(tmp_path / "absent")
    with pytest.raises(ValueError, match="holds no episodes"):
        Dataset(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file"):
        EpisodeWriter(tmp_path / "file")
    (tmp_path / "x.parquet").write_bytes(os.urandom(64))
    with pytest.raises(ValueError, match=r"x\.parquet is damaged"):
        Dataset(tmp_path).load(0)


def test_batches_hold_every_labelled_frame_once(folder: Path, episodes: list[Episode]) -> None:
    expected = labelled_frames(by_file(folder, episodes))
    order = np.argsort(expected["ego"], order=["x", "speed"], kind="stable")
    for budget in (1 << 30, 30_000):  # all in memory, and streamed
        data = Dataset(folder)
        batches: Batches = data.batches(batch_size=50, memory_budget=budget, seed=3, waypoints=True)
        got = list(batches.epoch(0))
        assert len(got) == batches.n_batches
        assert [len(batch["control"]) for batch in got[:-1]] == [50] * (len(got) - 1)
        joined = {name: np.concatenate([batch[name] for batch in got]) for name in got[0]}
        assert joined.keys() == expected.keys()
        again = np.argsort(joined["ego"], order=["x", "speed"], kind="stable")
        for name in ("rgb", "speed", "command", "lateral_error", "control", "weather"):
            left, right = joined[name][again], expected[name][order]
            assert left.dtype == right.dtype
            assert sorted(map(bytes, left)) == sorted(map(bytes, right)), name


def test_batches_are_a_function_of_seed_and_epoch(folder: Path) -> None:
    def bits(seed: int, epoch: int, budget: int) -> bytes:
        batches = Dataset(folder).batches(seed=seed, memory_budget=budget)
        return b"".join(batch["ego"].tobytes() for batch in batches.epoch(epoch))

    for budget in (1 << 30, 30_000):
        assert bits(1, 0, budget) == bits(1, 0, budget)
        assert bits(1, 0, budget) != bits(1, 1, budget)
        assert bits(1, 0, budget) != bits(2, 0, budget)


def test_unshuffled_batches_keep_the_order(folder: Path, episodes: list[Episode]) -> None:
    expected = labelled_frames(by_file(folder, episodes))["ego"]
    for budget in (1 << 30, 30_000):
        batches = Dataset(folder).batches(["speed"], shuffled=False, memory_budget=budget)
        got = np.concatenate([batch["ego"] for batch in batches.epoch(5)])
        assert got.tobytes() == expected.tobytes()


def test_batches_number_their_frames_for_augmentation(folder: Path) -> None:
    seen = list[Array]()

    def remember(batch: dict[str, Array], epoch: int, index: Array) -> dict[str, Array]:
        assert epoch == 2
        seen.append(index)
        return batch

    batches = Dataset(folder).batches(memory_budget=30_000, transform=remember)
    list(batches.epoch(2))
    assert sorted(np.concatenate(seen).tolist()) == list(range(batches.n_frames))


def test_streaming_keeps_to_its_memory_budget(folder: Path) -> None:
    batches = Dataset(folder).batches(batch_size=8, memory_budget=200_000)
    assert not batches.fits
    sizes = [
        sum(value.nbytes for value in window.values())
        for window in batches._windows(np.random.default_rng(0))
    ]
    assert len(sizes) > 3
    assert max(sizes) <= 100_000  # two windows at a time


def test_batches_without_anything_to_learn_from(tmp_path: Path) -> None:
    demonstrations(SPECS[:1], gate=None, expert=None, sink=EpisodeWriter(tmp_path))
    with pytest.raises(ValueError, match="no frame with an expert label"):
        Dataset(tmp_path).batches()
    executed = Dataset(tmp_path).batches(only_labelled=False, shuffled=False)
    control = np.concatenate([batch["control"] for batch in executed.epoch(0)])
    assert control.tobytes() == Dataset(tmp_path).load(0).control.tobytes()
    with pytest.raises(ValueError, match="no column 'observation.radar'"):
        list(Dataset(tmp_path).batches(["radar"], only_labelled=False).epoch(0))
    with pytest.raises(ValueError, match="batch_size"):
        Dataset(tmp_path).batches(batch_size=0)


def test_expert_drives_are_stored_without_a_policy(tmp_path: Path) -> None:
    drive(
        World(straight_road(), 2),
        PoseObserver(),
        None,
        SPECS[:2],
        expert=Planner(),
        gate=ExpertDrives(),
        stop=completed,
        sink=EpisodeWriter(tmp_path),
    )
    loaded = list(Dataset(tmp_path).episodes())
    assert all(np.isnan(episode.policy_control["steer"]).all() for episode in loaded)
    assert {episode.outcome for episode in loaded} <= {Outcome.COMPLETED, Outcome.TRUNCATED}


def test_pandas_opens_an_episode_as_the_docs_show(folder: Path, episodes: list[Episode]) -> None:
    pd = pytest.importorskip("pandas", reason="uv sync --group friends")
    path = Dataset(folder).paths[0]
    text = (Path(__file__).parents[1] / "docs/datasets.md").read_text(encoding="utf-8")
    blocks = [part.split("```")[0] for part in text.split("```python\n")[1:3]]
    names = dict[str, Any]()
    for block in blocks:
        exec(block.replace("D/alder_3-17-0123456789.parquet", str(path)), names)
    episode = by_file(folder, episodes)[0]
    assert isinstance(names["drive"], pd.DataFrame)
    assert names["drive"]["ego.speed"].to_numpy().tobytes() == episode.ego["speed"].tobytes()
    assert names["drive"]["asked"].fillna(False).sum() == episode.labels
    assert names["rgb"].tobytes() == episode.observations["rgb"].tobytes()
    assert names["rgb"].shape == episode.observations["rgb"].shape


def test_batches_can_leave_the_states_out(folder: Path) -> None:
    with_states = Dataset(folder).batches(["rgb"], seed=5, memory_budget=30_000)
    without = Dataset(folder).batches(["rgb"], seed=5, memory_budget=30_000, states=False)
    assert {"ego", "weather"}.isdisjoint(next(without.epoch(0)))
    few = Dataset(folder).batches(["rgb"], shuffled=False, states=False)
    all_of_it = Dataset(folder).batches(["rgb"], shuffled=False)
    for a, b in zip(few.epoch(0), all_of_it.epoch(0), strict=True):
        assert a["control"].tobytes() == b["control"].tobytes()
        assert a["rgb"].tobytes() == b["rgb"].tobytes()
    assert {"ego", "weather"} <= set(next(with_states.epoch(0)))
