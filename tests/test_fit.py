"""The epoch loop: learning, schedules, best weights, exact resume."""

import math
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from drive_il.fit import (
    ArrayBatches,
    Batch,
    FitConfig,
    Progress,
    _learning_rate,
    choose_device,
    fit,
    mean_loss,
    precision,
    reproducible,
    split,
)


def line(n_rows: int = 256) -> Batch:
    x = np.random.default_rng(0).normal(size=(n_rows, 3)).astype(np.float32)
    return {"x": x, "y": x @ np.array([[1.0], [-2.0], [0.5]], np.float32) + 0.25}


def network(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 1))


def squared(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    return (model(batch["x"]) - batch["y"]).square().mean()


def weights(model: nn.Module) -> bytes:
    return b"".join(value.numpy().tobytes() for value in model.state_dict().values())


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_linear_regression_finds_the_line(optimizer: str) -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    config = FitConfig(n_epochs=60, batch_size=32, optimizer=optimizer, learning_rate=0.03)
    history = fit(model, ArrayBatches(line(), 32), squared, config, seed=0)
    assert history.losses[-1] < 1e-6
    torch.testing.assert_close(model.weight, torch.tensor([[1.0, -2.0, 0.5]]), atol=1e-3, rtol=0)
    torch.testing.assert_close(model.bias, torch.tensor([0.25]), atol=1e-3, rtol=0)


def test_the_same_seed_gives_the_same_bits() -> None:
    def run(seed: int) -> bytes:
        model = network()
        fit(model, ArrayBatches(line(), 32, seed), squared, FitConfig(n_epochs=3), seed=seed)
        return weights(model)

    torch.manual_seed(1)
    first = run(7)
    torch.manual_seed(2)
    assert run(7) == first
    assert run(8) != first


def test_a_killed_run_resumes_to_the_same_bits(tmp_path: Path) -> None:
    config = FitConfig(n_epochs=6, batch_size=32)
    batches, held = ArrayBatches(line(), 32, 1), ArrayBatches(line(40), 32, shuffled=False)
    whole = network()
    expected = fit(whole, batches, squared, config, seed=1, validation=held)

    def kill(report: Progress) -> None:
        if report.done == 3:
            raise KeyboardInterrupt

    path = tmp_path / "run" / "checkpoint.pt"
    with pytest.raises(KeyboardInterrupt):
        fit(
            network(), batches, squared, config,
            seed=1, validation=held, checkpoint=path, progress=kill,
        )  # fmt: skip
    assert path.exists()
    resumed = network(seed=99)  # its weights come from the checkpoint
    history = fit(resumed, batches, squared, config, seed=1, validation=held, checkpoint=path)
    assert weights(resumed) == weights(whole)
    assert history == expected
    assert not path.exists()


def test_a_foreign_or_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"

    def kill(report: Progress) -> None:
        raise KeyboardInterrupt

    batches = ArrayBatches(line(), 32)
    with pytest.raises(KeyboardInterrupt):
        fit(network(), batches, squared, FitConfig(), seed=1, checkpoint=path, progress=kill)
    with pytest.raises(ValueError, match="another config, seed, network"):
        fit(network(), batches, squared, FitConfig(), seed=2, checkpoint=path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="cannot be read"):
        fit(network(), batches, squared, FitConfig(), seed=1, checkpoint=path)


def test_the_best_epoch_on_validation_is_kept() -> None:
    # Two epochs at a huge rate: the second one overshoots.
    model = nn.Linear(3, 1)
    held = ArrayBatches(line(), 256, shuffled=False)
    history = fit(
        model,
        ArrayBatches(line(), 256),
        squared,
        FitConfig(n_epochs=8, optimizer="sgd", learning_rate=0.9, schedule="constant"),
        seed=0,
        validation=held,
    )
    best = min(history.validation_losses)
    assert history.best_epoch == history.validation_losses.index(best)
    assert history.best_epoch < 7
    assert mean_loss(model, held, squared) == pytest.approx(best, rel=1e-6)


def test_n_steps_counts_gradient_steps_whatever_the_data() -> None:
    for n_rows in (32, 200):
        config = FitConfig(n_steps=20, batch_size=32)
        history = fit(network(), ArrayBatches(line(n_rows), 32), squared, config, seed=0)
        assert history.n_steps == 20


def test_every_frame_is_seen_once_per_pass_in_an_order_of_its_own() -> None:
    batches = ArrayBatches({"i": np.arange(10)}, 4, seed=3)
    first = [batch["i"].tolist() for batch in batches.epoch(0)]
    assert [len(batch) for batch in first] == [4, 4, 2]
    assert sorted(sum(first, [])) == list(range(10))
    assert first == [batch["i"].tolist() for batch in batches.epoch(0)]
    assert first != [batch["i"].tolist() for batch in batches.epoch(1)]


def test_episodes_are_held_out_whole_and_by_seed_alone() -> None:
    kept, held = split(10, 0.25, seed=0)
    assert len(held) == 2
    assert sorted(kept + held) == list(range(10))
    assert split(10, 0.25, seed=0) == (kept, held)
    assert split(1, 0.25, seed=0) == ([0], [])
    assert len(split(2, 0.01, seed=0)[1]) == 1
    assert split(3, 0.0, seed=0) == ([0, 1, 2], [])


def test_learning_rate_schedules_have_their_closed_forms() -> None:
    cosine = FitConfig(learning_rate=2.0)
    assert _learning_rate(cosine, 0, 100) == 2.0
    assert _learning_rate(cosine, 50, 100) == pytest.approx(1.0)
    assert _learning_rate(cosine, 75, 100) == pytest.approx(1 - math.sqrt(0.5))
    warm = FitConfig(learning_rate=2.0, schedule="constant", warmup_steps=3)
    assert [_learning_rate(warm, step, 9) for step in range(5)] == [0.5, 1.0, 1.5, 2.0, 2.0]


def test_progress_reports_every_epoch_and_the_time_left() -> None:
    reports: list[Progress] = []
    config = FitConfig(n_epochs=3)
    fit(network(), ArrayBatches(line(), 64), squared, config, seed=0, progress=reports.append)
    assert [(report.done, report.total) for report in reports] == [(1, 3), (2, 3), (3, 3)]
    assert reports[-1].remaining == 0.0
    assert reports[0].remaining == pytest.approx(2 * reports[0].elapsed)


def test_divergence_is_an_error() -> None:
    config = FitConfig(n_epochs=200, optimizer="sgd", learning_rate=50.0, schedule="constant")
    with pytest.raises(ValueError, match="lower learning_rate"):
        fit(nn.Linear(3, 1), ArrayBatches(line(), 64), squared, config, seed=0)


def test_threads_and_determinism_are_put_back() -> None:
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with reproducible(1):
        assert torch.get_num_threads() == 1
        assert torch.are_deterministic_algorithms_enabled()
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


def test_bad_settings_are_named() -> None:
    with pytest.raises(ValueError, match="optimizer must be one of adam, adamw, sgd"):
        FitConfig(optimizer="rmsprop")
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        FitConfig(batch_size=0)
    with pytest.raises(ValueError, match="n_epochs = 3 and n_steps = 5000 cannot both say"):
        FitConfig(n_epochs=3, n_steps=5000)
    with pytest.raises(ValueError, match="n_steps must be at least 1, got 0"):
        FitConfig(n_steps=0)
    with pytest.raises(ValueError, match="same number of rows"):
        ArrayBatches({"x": np.zeros(3), "y": np.zeros(2)}, 4)
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="finds no CUDA device"):
            choose_device("cuda")


@pytest.mark.filterwarnings("ignore:.*CUDA is not available")
def test_mixed_precision_is_for_cuda_alone() -> None:
    assert isinstance(precision(torch.device("cpu"), True), nullcontext)
    assert isinstance(precision(torch.device("cuda"), False), nullcontext)
    mixed = precision(torch.device("cuda"), True)
    assert isinstance(mixed, torch.autocast)
    assert mixed.fast_dtype == torch.bfloat16


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_learns_the_same_and_hands_back_a_cpu_model() -> None:
    fitted = []
    for device in ("cpu", "cuda"):
        model = nn.Linear(3, 1)
        nn.init.zeros_(model.weight)
        nn.init.zeros_(model.bias)
        config = FitConfig(n_epochs=30, batch_size=32, learning_rate=0.03, device=device)
        fit(model, ArrayBatches(line(), 32), squared, config, seed=0)
        assert model.weight.device.type == "cpu"
        fitted.append(model.weight.detach())
    torch.testing.assert_close(fitted[0], fitted[1], atol=1e-3, rtol=0)
