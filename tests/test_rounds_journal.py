"""A training in rounds that is killed and begun again ends in the same bits."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from drive_il.fit import Progress
from drive_il.learners import dagger, thrifty_dagger
from drive_il.networks import DrivingPolicy
from drive_il.training_log import tensorboard_log
from tests.ring_drives import ROUNDS, demonstrations, place


def weights(policy: DrivingPolicy) -> bytes:
    return b"".join(value.numpy().tobytes() for value in policy.network.state_dict().values())


CONFIG = dagger.Config(rounds=replace(ROUNDS, fit=replace(ROUNDS.fit, n_steps=40)))


@pytest.mark.parametrize("moment", ["in the fit of round 2", "after round 2"])
def test_a_killed_training_goes_on_to_the_same_bits(moment: str, tmp_path: Path) -> None:
    at = replace(place(), journal=tmp_path / "model.checkpoint")
    whole = dagger.train(place(), demonstrations(), CONFIG, 3)

    def kill(progress: Progress) -> None:
        is_there = progress.stage == "round 2 of 3" and progress.done == 2
        if is_there if moment == "in the fit of round 2" else progress.stage == "rounds":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dagger.train(at, demonstrations(), CONFIG, 3, progress=kill)
    stages: list[str] = []
    resumed = dagger.train(at, demonstrations(), CONFIG, 3, lambda now: stages.append(now.stage))
    assert "round 1 of 3" not in stages  # it was done
    assert weights(resumed) == weights(whole)
    assert resumed.card == whole.card
    with pytest.raises(ValueError, match="another training|another seed"):
        dagger.train(at, demonstrations(), CONFIG, 4)


def test_learners_with_nets_of_their_own_go_on_too(tmp_path: Path) -> None:
    rounds = replace(CONFIG.rounds, n_rounds=2, network=replace(CONFIG.rounds.network, members=2))
    config = replace(thrifty_dagger.Config(n_alone=2, q_iterations=1), rounds=rounds)
    at = replace(place(), journal=tmp_path / "journal")
    whole = thrifty_dagger.train(at, demonstrations(), config, 0)
    last = sorted(path for path in (tmp_path / "journal").iterdir() if path.is_dir())[-1]
    shutil.rmtree(last)
    assert weights(thrifty_dagger.train(at, demonstrations(), config, 0)) == weights(whole)


def test_tensorboard_reads_what_a_training_logs(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with tensorboard_log(tmp_path) as log:
        dagger.train(place(), demonstrations(), CONFIG, 3, progress=log)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "round-1-of-3", "round-2-of-3", "round-3-of-3", "rounds",
    ]  # fmt: skip
    events = EventAccumulator(str(tmp_path / "round-2-of-3")).Reload()
    assert {"loss/training", "learning_rate"} <= set(events.Tags()["scalars"])
    steps = [one.step for one in events.Scalars("loss/training")]
    assert steps == list(range(1, len(steps) + 1))
    rounds = EventAccumulator(str(tmp_path / "rounds")).Reload()
    assert [one.step for one in rounds.Scalars("loss/validation")] == [1, 2, 3]
