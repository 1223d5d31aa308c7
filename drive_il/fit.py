"""The only supervised epoch loop, and the batches it eats.

`fit` changes a model in place. It is a function of the model's weights, the batches, the
config and the seed alone: threads and deterministic algorithms are set from the config
and put back afterwards, and a run that was killed and resumed gives the same bits.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from drive_il.allocator import keep_freed_memory
from drive_il.datatypes import Array, Bools, Episode
from drive_il.randomness import derive_seed
from drive_il.surroundings import around, joined
from drive_il.waypoints import labels_of

Batch = dict[str, Array]
"""Named arrays with one row per frame."""
Loss = Callable[[nn.Module, dict[str, Tensor]], Tensor]
"""(model, batch) -> mean loss of the batch, a scalar."""


_EPOCHS = 20  # where nobody says how long


@dataclass(frozen=True)
class FitConfig:
    """How a network is fitted."""

    n_epochs: int | None = None
    """passes over the frames; 20 where neither this nor n_steps is given"""
    n_steps: int | None = None
    """gradient steps in all, whatever the amount of data; not together with n_epochs"""
    batch_size: int = 64
    """frames per gradient step"""
    optimizer: str = "adam"
    """adam, adamw or sgd"""
    learning_rate: float = 1e-3
    """at the start, after the warm-up"""
    momentum: float = 0.9
    """of sgd"""
    weight_decay: float = 0.0
    """decoupled for adamw, L2 otherwise"""
    schedule: str = "cosine"
    """constant, or cosine: down to zero at the last step"""
    warmup_steps: int = 0
    """gradient steps over which the learning rate grows linearly"""
    n_threads: int = 2
    """torch threads while fitting; part of what decides the bits"""
    device: str = "auto"
    """auto (CUDA where there is one), cpu or cuda"""
    mixed_precision: bool = True
    """bfloat16 where it is safe, on CUDA only; what is computed on a CPU never changes"""

    def __post_init__(self) -> None:
        if self.n_epochs is not None and self.n_steps is not None:
            raise ValueError(
                f"n_epochs = {self.n_epochs} and n_steps = {self.n_steps} cannot both say how long "
                "to fit; set one of them to None"
            )
        for name in ("n_epochs", "n_steps", "batch_size", "n_threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        for name in ("warmup_steps", "weight_decay"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be positive, got {self.learning_rate}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum}")
        for name, allowed in (
            ("optimizer", ("adam", "adamw", "sgd")),
            ("schedule", ("constant", "cosine")),
            ("device", ("auto", "cpu", "cuda")),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}"
                )


@dataclass(frozen=True)
class Progress:
    """Where a training run stands; handed to the caller's progress function.

    Attributes:
        stage: what is going on, e.g. "round 2 of 5: fitting".
        done: units of work done.
        total: units of work in all.
        loss: mean training loss of the last epoch, NaN when there is none.
        validation_loss: of the last epoch, NaN when there is none.
        elapsed: since the start of the stage [s].
        remaining: estimate until the end of the stage [s].
        begin: share of the whole training that is done when the stage begins, in [0, 1].
        end: share that is done when it ends.
        learning_rate: of the last gradient step, NaN when there is none.
    """

    stage: str
    done: int
    total: int
    loss: float = math.nan
    validation_loss: float = math.nan
    elapsed: float = 0.0
    remaining: float = 0.0
    begin: float = 0.0
    end: float = 1.0
    learning_rate: float = math.nan

    @property
    def share(self) -> float:
        """Share of the whole training that is done, in [0, 1]."""
        return self.begin + (self.end - self.begin) * self.done / max(self.total, 1)


ProgressFunction = Callable[[Progress], None]


@dataclass
class History:
    """What a fit did.

    Attributes:
        losses: mean training loss of each epoch.
        validation_losses: of each epoch; empty without validation batches.
        best_epoch: whose weights the model holds now.
        n_steps: gradient steps taken.
        n_frames: frames seen.
    """

    losses: list[float] = field(default_factory=list)
    validation_losses: list[float] = field(default_factory=list)
    best_epoch: int = -1
    n_steps: int = 0
    n_frames: int = 0


class Batches(Protocol):
    """A source of batches, pass after pass."""

    @property
    def n_batches(self) -> int:
        """Batches per pass, at least 1."""
        ...

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yields the batches of one pass; a function of `epoch` alone."""
        ...


@dataclass(frozen=True)
class ArrayBatches:
    """Shuffled batches of arrays in memory.

    Attributes:
        frames: named arrays with the same number of rows.
        batch_size: rows per batch; the last one of a pass may be shorter.
        seed: of the shuffling.
        shuffled: False keeps the order, for validation.
        transform: (batch, epoch, row indices) -> batch, e.g. augmentation.
    """

    frames: Batch
    batch_size: int
    seed: int = 0
    shuffled: bool = True
    transform: Callable[[Batch, int, Array], Batch] | None = None

    def __post_init__(self) -> None:
        counts = {name: len(value) for name, value in self.frames.items()}
        if not counts or len(set(counts.values())) != 1 or not next(iter(counts.values())):
            raise ValueError(
                f"frames need the same number of rows, at least 1, in each array, got {counts}"
            )

    @property
    def n_frames(self) -> int:
        """Rows in all."""
        return len(next(iter(self.frames.values())))

    @property
    def n_batches(self) -> int:
        """Batches per pass."""
        return -(-self.n_frames // self.batch_size)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yields the batches of one pass."""
        order = np.arange(self.n_frames)
        if self.shuffled:
            np.random.default_rng(derive_seed(self.seed, "shuffle", epoch)).shuffle(order)
        for first in range(0, self.n_frames, self.batch_size):
            rows = order[first : first + self.batch_size]
            batch = {name: value[rows] for name, value in self.frames.items()}
            yield self.transform(batch, epoch, rows) if self.transform else batch


def labelled_frames(
    episodes: Sequence[Episode],
    keep: Callable[[Episode], Bools] | None = None,
    surroundings: bool = False,
) -> Batch:
    """Collects every step for which an expert label was paid.

    Args:
        episodes: with observations kept, N labelled steps in all.
        keep: says which of the labelled steps are collected, (T,); all when not given.
        surroundings: also who else was there (`surroundings.around`), to draw views again.

    Returns:
        Each observation array by its name (N, ...), `control` the expert's labels (N,)
        CONTROL, `waypoints` (N, K, 2) float32 theirs [m], `ego` (N,) VEHICLE and `weather` (N,)
        WEATHER.

    Raises:
        ValueError: no label at all, an episode without observations, or in traffic that was not
            kept where surroundings are wanted.
    """
    parts: dict[str, list[Array]] = {}
    others: list[Batch] = []
    for episode in episodes:
        if not episode.observations:
            raise ValueError(
                f"the episode on route {episode.spec.route.id!r} has no observations; record "
                "with keep_observations=True"
            )
        steps = np.flatnonzero(episode.asked if keep is None else episode.asked & keep(episode))
        for name, value in episode.observations.items():
            parts.setdefault(name, []).append(np.asarray(value)[steps])
        parts.setdefault("control", []).append(episode.expert_control[steps])
        parts.setdefault("waypoints", []).append(labels_of(episode)[steps])
        parts.setdefault("ego", []).append(episode.ego[steps])
        parts.setdefault("weather", []).append(episode.weather[steps])
        if surroundings:
            others.append(around(episode, steps))
    if not any(len(part) for part in parts.get("control", [])):
        raise ValueError("no expert labels to learn from; record with a gate that asks the expert")
    found = {name: np.concatenate(part) for name, part in parts.items()}
    return found | joined(others) if surroundings else found


def split(n_episodes: int, fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """Holds out whole episodes, so that neighbouring frames never fall on both sides.

    Args:
        n_episodes: how many there are.
        fraction: share held out, in [0, 1); at least one episode when positive and there
            are two or more.
        seed: decides which.

    Returns:
        Indices (kept, held out), each in order.
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"the held-out fraction must be in [0, 1), got {fraction}")
    n_held = round(fraction * n_episodes)
    if fraction > 0 and n_episodes > 1:
        n_held = min(max(n_held, 1), n_episodes - 1)
    order = np.random.default_rng(derive_seed(seed, "split")).permutation(n_episodes).tolist()
    return sorted(order[n_held:]), sorted(order[:n_held])


@contextmanager
def reproducible(n_threads: int) -> Iterator[None]:
    """Sets torch's threads and deterministic algorithms, and puts both back."""
    keep_freed_memory()
    # cuBLAS is deterministic only with a fixed workspace, chosen before its first call.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(n_threads)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)


def choose_device(name: str) -> torch.device:
    """Returns the torch device that auto, cpu or cuda means on this machine."""
    present = torch.cuda.is_available()
    if name == "cuda" and not present:
        raise ValueError("device is cuda, but torch finds no CUDA device; use auto or cpu")
    return torch.device("cuda" if present and name != "cpu" else "cpu")


def precision(device: torch.device, mixed: bool) -> AbstractContextManager[object]:
    """Returns the context of mixed precision on CUDA, and one that does nothing elsewhere.

    bfloat16 has the range of float32: losses need no scaling, and weights and optimiser stay
    float32.
    """
    if mixed and device.type == "cuda":
        return torch.autocast("cuda", torch.bfloat16)
    return nullcontext()


def fit(
    model: nn.Module,
    batches: Batches,
    loss: Loss,
    config: FitConfig,
    *,
    seed: int,
    validation: Batches | None = None,
    checkpoint: Path | None = None,
    progress: ProgressFunction | None = None,
    stage: str = "fitting",
) -> History:
    """Fits a model in place.

    With validation batches the model ends with the weights of the epoch of least
    validation loss, otherwise with the last ones.

    Args:
        model: changed in place; ends on the CPU, in evaluation mode.
        batches: training data.
        loss: of one batch.
        config: optimiser, schedule, length, threads, device.
        seed: of anything random inside the model (dropout).
        validation: data that no gradient step sees.
        checkpoint: file that an interrupted run goes on from; removed at the end.
        progress: called after every epoch.
        stage: what the progress reports call this.

    Returns:
        Losses and counts.

    Raises:
        ValueError: the loss is not finite any more, or the checkpoint is of another run.
    """
    device = choose_device(config.device)
    with reproducible(config.n_threads), torch.random.fork_rng():
        run = _Run(model.to(device), batches, loss, config, device, seed, validation)
        if checkpoint is not None and checkpoint.exists():
            run.resume(checkpoint)
        start, first = time.monotonic(), run.epoch
        while run.epoch < run.n_epochs:
            run.train_epoch()
            if checkpoint is not None and run.epoch < run.n_epochs:
                run.save(checkpoint)
            if progress is not None:
                elapsed = time.monotonic() - start
                per_epoch = elapsed / (run.epoch - first)
                progress(
                    Progress(
                        stage,
                        run.epoch,
                        run.n_epochs,
                        run.history.losses[-1],
                        (run.history.validation_losses or [math.nan])[-1],
                        elapsed,
                        per_epoch * (run.n_epochs - run.epoch),
                        learning_rate=run.learning_rate,
                    )
                )
        run.finish()
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return run.history


def mean_loss(
    model: nn.Module, batches: Batches, loss: Loss, device: torch.device | None = None
) -> float:
    """Returns the mean loss over all frames of the batches, without gradients."""
    device = device or torch.device("cpu")
    model.eval()
    total, n_frames = 0.0, 0
    with torch.inference_mode():
        for batch in batches.epoch(0):
            n_rows = len(next(iter(batch.values())))
            total += float(loss(model, to_tensors(batch, device))) * n_rows
            n_frames += n_rows
    return total / n_frames


def to_tensors(batch: Batch, device: torch.device) -> dict[str, Tensor]:
    """Returns the batch on the device; records stay behind."""
    return {
        name: torch.from_numpy(np.ascontiguousarray(value)).to(device)
        for name, value in batch.items()
        if value.dtype.names is None
    }


class _Run:
    """A fit in progress: everything that a checkpoint holds."""

    def __init__(
        self,
        model: nn.Module,
        batches: Batches,
        loss: Loss,
        config: FitConfig,
        device: torch.device,
        seed: int,
        validation: Batches | None,
    ) -> None:
        self.model, self.batches, self.loss, self.config = model, batches, loss, config
        self.device, self.seed, self.validation = device, seed, validation
        self.n_steps = config.n_steps or (config.n_epochs or _EPOCHS) * batches.n_batches
        self.n_epochs = -(-self.n_steps // batches.n_batches)
        self.optimizer = _optimizer(model, config)
        self.history = History()
        self.best: dict[str, Tensor] | None = None
        self.epoch = 0
        self.learning_rate = config.learning_rate

    def train_epoch(self) -> None:
        """Takes the gradient steps of one pass, then validates."""
        self.model.train()
        _seed(self.device, derive_seed(self.seed, "epoch", self.epoch))
        losses: list[Tensor] = []
        counts: list[int] = []
        for batch in self.batches.epoch(self.epoch):
            if self.history.n_steps == self.n_steps:
                break
            rate = _learning_rate(self.config, self.history.n_steps, self.n_steps)
            for group in self.optimizer.param_groups:
                group["lr"] = self.learning_rate = rate
            with precision(self.device, self.config.mixed_precision):
                value = self.loss(self.model, to_tensors(batch, self.device))
            self.optimizer.zero_grad(set_to_none=True)
            value.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            losses.append(value.detach())
            counts.append(len(next(iter(batch.values()))))
            self.history.n_steps += 1
        mean = float(np.average([float(value) for value in losses], weights=counts))
        if not math.isfinite(mean):
            raise ValueError(
                f"the training loss became {mean} in epoch {self.epoch + 1}; lower "
                f"learning_rate (now {self.config.learning_rate}) or check the labels"
            )
        self.history.losses.append(mean)
        self.history.n_frames += sum(counts)
        self._validate()
        self.epoch += 1

    def _validate(self) -> None:
        if self.validation is None:
            self.history.best_epoch = self.epoch
            return
        with precision(self.device, self.config.mixed_precision):
            value = mean_loss(self.model, self.validation, self.loss, self.device)
        if value < min(self.history.validation_losses, default=math.inf):
            self.history.best_epoch = self.epoch
            self.best = {name: w.detach().clone() for name, w in self.model.state_dict().items()}
        self.history.validation_losses.append(value)

    def finish(self) -> None:
        """Leaves the best weights in the model."""
        if self.best is not None:
            self.model.load_state_dict(self.best)
        self.model.to("cpu").eval()

    def _fingerprint(self) -> str:
        """Names the run: a checkpoint of another one must not be gone on with."""
        shapes = {name: list(value.shape) for name, value in self.model.state_dict().items()}
        facts = [asdict(self.config), self.seed, self.n_steps, self.device.type, shapes]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def save(self, path: Path) -> None:
        """Writes everything that the next epoch needs, atomically."""
        content = {
            "run": self._fingerprint(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
            "history": asdict(self.history),
            "epoch": self.epoch,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        torch.save(content, temporary)
        temporary.replace(path)

    def resume(self, path: Path) -> None:
        """Goes back to where the checkpoint was written."""
        try:
            content: dict[str, Any] = torch.load(path, self.device, weights_only=True)
        except Exception as error:  # torch raises many kinds for a damaged file
            raise ValueError(
                f"checkpoint {path} cannot be read ({error}); delete it to start over"
            ) from error
        if content.get("run") != self._fingerprint():
            raise ValueError(
                f"checkpoint {path} belongs to a run with another config, seed, network or "
                "amount of data; delete it to start over"
            )
        self.model.load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.best = content["best"]
        self.history = History(**content["history"])
        self.epoch = content["epoch"]


def _optimizer(model: nn.Module, config: FitConfig) -> torch.optim.Optimizer:
    rate, decay = config.learning_rate, config.weight_decay
    # Fused: all weights in one call; small networks spend their time on calls.
    if config.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), rate, weight_decay=decay, fused=True)
    if config.optimizer == "adamw":
        return torch.optim.AdamW(model.parameters(), rate, weight_decay=decay, fused=True)
    return torch.optim.SGD(
        model.parameters(), rate, config.momentum, weight_decay=decay, fused=True
    )


def _seed(device: torch.device, seed: int) -> None:
    """Seeds what may draw here; torch.manual_seed asks after every kind of device, for 2 ms."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def _learning_rate(config: FitConfig, step: int, n_steps: int) -> float:
    rate = config.learning_rate * min(1.0, (step + 1) / (config.warmup_steps + 1))
    if config.schedule == "cosine":
        rate *= 0.5 * (1.0 + math.cos(math.pi * step / n_steps))
    return rate
