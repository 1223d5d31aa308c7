"""Episodes go into other people's formats and come back as they were."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from drive_il.cli import main
from drive_il.dataset import Dataset
from drive_il.datatypes import Outcome
from drive_il.env.config import RewardConfig
from drive_il.exchange import flat, lerobot, minari, rlds
from drive_il.video import read_clip
from tests.demonstrations import small_set


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_set(tmp_path_factory.mktemp("exchange") / "source")


@pytest.fixture(scope="module")
def exact(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exact") / "set"
    lerobot.export(Dataset(source), out, lerobot.LeRobotConfig(lossless=True))
    return out


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_lerobot_without_loss_comes_back_to_the_same_files(
    source: Path, exact: Path, tmp_path: Path
) -> None:
    assert lerobot.import_back(exact, tmp_path / "back")
    assert contents(tmp_path / "back") == contents(source)


def test_minari_comes_back_to_the_same_files(source: Path, tmp_path: Path) -> None:
    target = minari.export(Dataset(source), tmp_path / "my drives")
    assert target == tmp_path / "my_drives-v0"
    assert minari.import_back(target, tmp_path / "back")
    assert contents(tmp_path / "back") == contents(source)


def test_with_loss_only_pictures_change(source: Path, tmp_path: Path) -> None:
    lerobot.export(Dataset(source), tmp_path / "set")
    assert not lerobot.import_back(tmp_path / "set", tmp_path / "back")
    for before, after in zip(
        Dataset(source).episodes(), Dataset(tmp_path / "back").episodes(), strict=True
    ):
        for name in ("speed", "command", "lateral_error"):
            assert after.observations[name].tobytes() == before.observations[name].tobytes()
        assert after.ego.tobytes() == before.ego.tobytes()
        pictures = before.observations["rgb"], after.observations["rgb"]
        assert np.abs(np.subtract(*pictures, dtype=np.int64)).max() <= 6
        assert pictures[0][-1].tobytes() == pictures[1][-1].tobytes()  # never in the film


def test_lerobots_tables_say_what_its_reader_asks_for(source: Path, exact: Path) -> None:
    episodes = list(Dataset(source).episodes())
    info = json.loads((exact / "meta/info.json").read_text())
    n_frames = sum(episode.n_steps for episode in episodes)
    assert info["codebase_version"] == "v3.0"
    assert (info["fps"], info["total_episodes"], info["total_frames"]) == (20, 4, n_frames)
    table = pq.read_table(exact / "data/chunk-000/file-000.parquet")
    stored = {name for name, one in info["features"].items() if one["dtype"] != "video"}
    assert set(table.column_names) == stored
    assert table["index"].to_pylist() == list(range(n_frames))
    where = pq.read_table(exact / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    film = list(read_clip(exact / "videos/observation.images.rgb/chunk-000/file-000.mp4"))
    for row, episode in zip(where, episodes, strict=True):
        rows = table.slice(row["dataset_from_index"], row["length"])
        first = round(row["videos/observation.images.rgb/from_timestamp"] * 20)
        for t in (0, episode.n_steps - 1):
            assert film[first + t].tobytes() == episode.observations["rgb"][t].tobytes()
        action = np.array(rows["action"].to_pylist(), np.float32)
        assert (action == flat.labels(episode).astype(np.float32)).all()
        assert rows["next.done"].to_pylist() == [False] * (episode.n_steps - 1) + [True]
        assert np.allclose(rows["timestamp"].to_numpy(), np.arange(episode.n_steps) * 0.05)
    tasks = pd.read_parquet(exact / "meta/tasks.parquet")
    assert tasks.loc["follow the lane", "task_index"] == table["task_index"][0].as_py()
    stats = json.loads((exact / "meta/stats.json").read_text())
    assert set(stats) == set(info["features"])
    throttle = np.array(table["action"].to_pylist())[:, 0]
    assert stats["action"]["mean"][0] == pytest.approx(throttle.mean())
    assert stats["action"]["q90"][0] == pytest.approx(np.quantile(throttle, 0.9))
    shape = np.array(stats["observation.images.rgb"]["mean"]).shape
    assert shape == (3, 1, 1)


def test_a_reward_is_metres_of_route_less_what_was_done_wrong(source: Path) -> None:
    episode = Dataset(source).load(0)
    only = RewardConfig(1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    driven = episode.progress["s_max"][-1] - episode.progress["s_max"][0]
    assert flat.rewards(episode, only).sum() == pytest.approx(driven)
    off = RewardConfig(0.0, 0.0, 0.5, 0.0, 0.0, 0.0)
    expected = -0.5 * np.abs(episode.progress["lateral_error"][1:]) * episode.dt
    assert flat.rewards(episode, off) == pytest.approx(expected)


def test_rlds_has_the_last_state_as_a_step_without_action(source: Path) -> None:
    dataset = Dataset(source)
    described = rlds.mapping(dataset)["steps"]
    episode = dataset.load(1)
    steps = list(rlds.steps(episode))
    assert len(steps) == episode.n_steps + 1
    assert [step["is_first"] for step in steps].index(True) == 0
    assert steps[-1]["is_last"]
    assert steps[-1]["is_terminal"] == (episode.outcome == Outcome.COMPLETED)
    assert set(steps[0]) == set(described)
    assert set(steps[0]["observation"]) == set(described["observation"])
    rgb = described["observation"]["rgb"]
    assert (rgb["dtype"], rgb["shape"]) == ("uint8", [2, 4, 3])
    assert set(rlds.episode_metadata(episode)) == set(rlds.mapping(dataset)["episode_metadata"])


def test_the_command_line_goes_there_and_back(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, back = tmp_path / "out", tmp_path / "back"
    main(["dataset", "export", str(source), "--out", str(out), "--lossless"])
    main(["dataset", "import", str(out), "--out", str(back)])
    assert contents(back) == contents(source)
    main(["dataset", "export", str(source), "--format", "rlds-map", "--out", str(out / "m.json")])
    assert "is_terminal" in json.loads((out / "m.json").read_text())["steps"]
    assert "4 episodes" in capsys.readouterr().out


def test_what_was_changed_or_lost_is_named_and_nothing_is_left(
    source: Path, exact: Path, tmp_path: Path
) -> None:
    import shutil

    film = "videos/observation.images.rgb/chunk-000/file-000.mp4"
    spoilt = tmp_path / "spoilt"

    def fails(match: str) -> None:
        with pytest.raises(ValueError, match=match):
            lerobot.import_back(spoilt, tmp_path / "back")
        assert sorted(tmp_path.iterdir()) == [spoilt]
        shutil.rmtree(spoilt)
        shutil.copytree(exact, spoilt)

    shutil.copytree(exact, spoilt)
    (spoilt / film).unlink()
    fails("file-000.mp4 is missing")
    (spoilt / film).write_bytes((spoilt / film).read_bytes()[:300])
    fails("damaged or no video")
    shutil.rmtree(spoilt / "drive_il")
    fails("was not exported by drive_il")
    info = json.loads((spoilt / "meta/info.json").read_text())
    (spoilt / "meta/info.json").write_text(json.dumps(info | {"codebase_version": "v2.1"}))
    fails("data set of v2.1, expected v3.0")
    (spoilt / "meta/info.json").write_text(json.dumps(info | {"total_episodes": 3}))
    fails("has 3 episodes, its sidecar 4")
    episodes = spoilt / "meta/episodes/chunk-000/file-000.parquet"
    episodes.write_bytes(episodes.read_bytes()[:-9])
    fails("missing or damaged")
    lossy = tmp_path / "lossy"
    lerobot.export(Dataset(source), lossy)
    shutil.copyfile(lossy / film, spoilt / film)
    shutil.rmtree(lossy)
    fails("is not what was exported")


def test_what_cannot_be_exported_is_named(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="exists; give a folder that does not"):
        lerobot.export(Dataset(source), source)
    with pytest.raises(ValueError, match="'speed' cannot be a video"):
        lerobot.export(Dataset(source), tmp_path / "x", lerobot.LeRobotConfig(videos=("speed",)))
    with pytest.raises(ValueError, match="frames per second must be whole"):
        flat.fps(0.03)
    with pytest.raises(ValueError, match="gives no name"):
        minari.dataset_id("-- --")
    assert not list(tmp_path.iterdir())


def test_minari_itself_opens_it(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("minari", reason="uv sync --group friends")
    target = minari.export(Dataset(source), tmp_path / "drives-v3")
    code = (
        "import minari; data = minari.load_dataset('drives-v3');"
        "print([len(episode) for episode in data], data.total_steps)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"MINARI_DATASETS_PATH": str(target.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    lengths = [episode.n_steps for episode in Dataset(source).episodes()]
    assert done.stdout.split("\n")[0] == f"{lengths} {sum(lengths)}"
