"""ALVINN on the fly (Pomerleau 1991, Neural Computation 3:1): taught while somebody drives.

    input   30x32 blue band of a camera
    hidden  5 sigmoid units, fully connected
    output  30 direction units, linear in curvature; about 5,000 weights in all
    target  a hill of activation exp(-d^2 / 10), d units away from the right direction
    decode  centre of mass of the hill around the most active unit

    each cycle:
        take one picture and the driver's steering
        make 14 views of it from shifted and turned poses, each labelled by pure pursuit
        put the 15 patterns into a buffer of 200, in place of 15 others
        one epoch of back-propagation with momentum over the buffer

The views teach what a good driver never shows: how to come back. The buffer keeps a curve in
mind while the road is straight. What leaves it is two thirds of the best known patterns, so
that what is hard stays, and one third drawn from the side to which the buffer's mean steering
leans, so that it stays near straight ahead.

`views=0` and `buffer=0` leave one or the other out, at the same number of presented patterns
a cycle and of labels: without a buffer a cycle's own patterns are presented again and again.

Departures: the views are drawn by the simulator's own camera and not warped out of the
picture, so that no pixel is missing; the label is the curvature of the expert's steer.
Weights change after a few patterns, not after each. Training takes seconds: it
is not checkpointed, killed and run again it gives the same bits. Labels that count: one a
cycle, whatever the views; frames between snapshots are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from drive_il import augment, steering
from drive_il.dataset import Dataset
from drive_il.datatypes import (
    CONTROL,
    Actors,
    Array,
    Episode,
    Floats,
    Ints,
    Observation,
    Records,
    State,
    no_actors,
)
from drive_il.direction_units import curvature_of_unit, decode, hill, unit_of_curvature
from drive_il.fit import Batch, FitConfig, ProgressFunction, fit, labelled_frames
from drive_il.networks import in_fixed_batches
from drive_il.randomness import derive_seed
from drive_il.sensor_specs import CameraSpec, ObservationSpec
from drive_il.surroundings import actors_of

HEIGHT, WIDTH = 30, 32
N_HIDDEN = 5
N_DIRECTIONS = 30
BEST_KNOWN = 2 / 3
"""share of the replaced patterns that are those of least error"""
WITHOUT_BUFFER = 200
"""patterns presented a cycle where there is no buffer"""
CAMERA = CameraSpec(name="retina", width=WIDTH, height=HEIGHT, fov=90.0)
SPEC = ObservationSpec(cameras=(CAMERA,))
"""what it sees; record demonstrations with it (or with more)"""


@dataclass(frozen=True)
class Config:
    """ALVINN on the fly."""

    views: int = 14
    """shifted and turned views of each picture; 0: only what the driver saw"""
    buffer: int = 200
    """patterns kept; 0: only those of this cycle"""
    snapshot_every: int = 10
    """steps between the pictures taken"""
    snapshots: int = 1200
    """pictures taken in all, one a cycle"""
    shift: float = 0.6
    """largest lateral shift of a view, either way [m]"""
    rotation: float = 6.0
    """largest rotation of a view, either way [deg]"""
    lookahead: float = 3.5
    """distance of the point steered for, at standstill [m]"""
    lookahead_time: float = 0.7
    """how much further with speed [s]"""
    max_curvature: float = 0.2
    """of the outermost direction units [1/m]"""
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(
            batch_size=5,
            optimizer="sgd",
            learning_rate=0.02,
            momentum=0.8,
            schedule="constant",
            n_threads=1,
            device="cpu",
        )
    )
    """optimiser; the number of cycles is its length"""

    def __post_init__(self) -> None:
        for name in ("views", "buffer", "shift", "rotation", "lookahead_time"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("snapshot_every", "snapshots"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("lookahead", "max_curvature"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if 0 < self.buffer < 1 + self.views:
            raise ValueError(
                f"buffer must hold at least one cycle's {1 + self.views} patterns, "
                f"got {self.buffer}"
            )


class OnTheFly(nn.Module):
    """960 inputs, 5 hidden units, 30 outputs; sigmoids throughout."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(HEIGHT * WIDTH, N_HIDDEN)
        self.output = nn.Linear(N_HIDDEN, N_DIRECTIONS)
        generator = torch.Generator().manual_seed(seed)
        for layer in (self.hidden, self.output):
            reach = layer.in_features**-0.5
            for weights in (layer.weight, layer.bias):
                nn.init.uniform_(weights, -reach, reach, generator=generator)

    def forward(self, retina: Tensor) -> Tensor:
        """Returns activations of the direction units, leftmost first.

        Args:
            retina: blue band, (B, 30, 32) uint8.

        Returns:
            (B, 30).
        """
        inputs = retina.flatten(1).float() / 127.5 - 1.0
        return torch.sigmoid(self.output(torch.sigmoid(self.hidden(inputs))))


def loss(network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Returns half the squared error, summed over the outputs, mean over the batch."""
    error: Tensor = (network(batch["retina"]) - batch["target"]).square().sum(1)
    return 0.5 * error.mean()


@dataclass(frozen=True)
class OnTheFlyPolicy:
    """Steers from one picture, without memory; zero pedals.

    Attributes:
        network: the trained network.
        max_curvature: of the outermost direction units [1/m].
        spec: the sensors.
        card: where it comes from: learner, seed, labels, training config.
    """

    network: OnTheFly
    max_curvature: float
    spec: ObservationSpec = SPEC
    card: Mapping[str, Any] = field(default_factory=dict)

    def initial_state(self, n_rows: int) -> State:
        """Returns nothing: the policy has no memory."""
        return {}

    def act(self, observation: Observation, state: State) -> tuple[Records, State, State]:
        """Returns (control with zero pedals, {}, info with the 30 activations)."""
        retina = np.ascontiguousarray(observation[CAMERA.name][..., 2])
        activation = in_fixed_batches(self.network, retina)
        curvature = curvature_of_unit(decode(activation), self.max_curvature, N_DIRECTIONS)
        control = np.zeros(len(activation), CONTROL)
        control["steer"] = steering.steer_of_curvature(curvature)
        return control, {}, {"activation": activation}


@dataclass(frozen=True)
class Snapshots:
    """What the driver saw and did at each cycle, in the order of driving.

    Attributes:
        pictures: (N, 30, 32, 3) uint8.
        ego: (N,) VEHICLE.
        weather: (N,) WEATHER.
        actors: who else was there, each ego in a world of its own.
        curvature: the driver's, (N,) [1/m].
    """

    pictures: Array
    ego: Records
    weather: Records
    actors: Actors
    curvature: Floats


def snapshots(data: Sequence[Episode] | Dataset, config: Config) -> Snapshots:
    """Takes every so many-th labelled frame, drive after drive, up to the number wanted.

    Raises:
        ValueError: other sensors, no labels, or too few frames.
    """
    episodes = [data.load(i) for i in range(len(data))] if isinstance(data, Dataset) else data
    frames = labelled_frames(episodes, surroundings=config.views > 0)
    if CAMERA.name not in frames:
        raise ValueError(
            f"ALVINN learns from the camera {CAMERA.name!r}, the data hold {sorted(frames)}; "
            "record with --sensors alvinn"
        )
    steps = np.arange(0, len(frames["control"]), config.snapshot_every)[: config.snapshots]
    if len(steps) < config.snapshots:
        raise ValueError(
            f"{config.snapshots} snapshots, one every {config.snapshot_every} steps, need "
            f"{config.snapshots * config.snapshot_every} labelled steps, the data hold "
            f"{len(frames['control'])}; record more or lower snapshots or snapshot_every"
        )
    return Snapshots(
        frames[CAMERA.name][steps],
        frames["ego"][steps],
        frames["weather"][steps],
        actors_of(frames).take(steps) if config.views else no_actors(len(steps)),
        steering.curvature_of_steer(frames["control"]["steer"][steps]),
    )


class Cycles:
    """The patterns of each cycle, made as training gets there; batches for `fit`.

    Args:
        taken: one snapshot a cycle.
        network: being trained; says how well each kept pattern is known.
        config: views, buffer, batches.
        seed: of views, of what leaves the buffer and of the order.
        renderer: the camera that took the pictures; not needed without views.
    """

    def __init__(
        self,
        taken: Snapshots,
        network: nn.Module,
        config: Config,
        seed: int,
        renderer: augment.Renderer | None,
    ) -> None:
        self._taken, self._network, self._config, self._seed = taken, network, config, seed
        self._renderer = renderer
        self.retina = np.zeros((0, HEIGHT, WIDTH), np.uint8)
        self.curvature = np.zeros(0)

    @property
    def n_presented(self) -> int:
        """Patterns presented a cycle."""
        return self._config.buffer or WITHOUT_BUFFER

    @property
    def n_batches(self) -> int:
        """Batches a cycle."""
        return -(-self.n_presented // self._config.fit.batch_size)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yields the batches of the next cycle; cycles must be asked for in their order."""
        retina, curvature = self._new_patterns(epoch)
        stay = self._staying(len(curvature), epoch)
        self.retina = np.concatenate((self.retina[stay], retina))
        self.curvature = np.concatenate((self.curvature[stay], curvature))
        target = self._targets()
        rng = np.random.default_rng(derive_seed(self._seed, "order", epoch))
        n, times = len(self.curvature), -(-self.n_presented // len(self.curvature))
        order = np.concatenate([rng.permutation(n) for _ in range(times)])[: self.n_presented]
        for first in range(0, len(order), self._config.fit.batch_size):
            rows = order[first : first + self._config.fit.batch_size]
            yield {"retina": self.retina[rows], "target": target[rows]}

    def _new_patterns(self, cycle: int) -> tuple[Array, Floats]:
        """The picture of a cycle and its views: retinas (K, 30, 32) and labels (K,) [1/m]."""
        config, taken = self._config, self._taken
        retina = taken.pictures[cycle : cycle + 1, ..., 2]
        curvature = taken.curvature[cycle : cycle + 1]
        if not config.views or self._renderer is None:
            return retina, curvature
        rows = np.full(config.views, cycle)
        draws = augment.Draw(self._seed, cycle, np.arange(config.views)).uniform("views", 2)
        shift = config.shift * (2.0 * draws[:, 0] - 1.0)
        rotation = np.deg2rad(config.rotation) * (2.0 * draws[:, 1] - 1.0)
        views, labels = augment.moved_view(
            taken.ego[rows],
            taken.weather[rows],
            taken.actors.take(rows),
            taken.curvature[rows],
            (shift, rotation),
            (config.lookahead, config.lookahead_time),
            self._renderer,
        )
        return np.concatenate((retina, views[..., 2])), np.concatenate((curvature, labels))

    def _staying(self, n_new: int, cycle: int) -> Ints:
        """Which kept patterns stay when n_new more come."""
        n_kept = len(self.curvature) if self._config.buffer else 0
        n_over = max(0, n_kept + n_new - self._config.buffer) if n_kept else 0
        if not n_over:
            return np.arange(n_kept)
        activation = in_fixed_batches(self._network, self.retina, batch=64)
        errors = np.square(activation - self._targets()).sum(1)
        key = derive_seed(self._seed, "leaving", cycle)
        return np.delete(np.arange(n_kept), leaving(errors, self.curvature, n_over, key))

    def _targets(self) -> Floats:
        """Hills around the labels of the kept patterns, (N, 30) float32."""
        unit = unit_of_curvature(self.curvature, self._config.max_curvature, N_DIRECTIONS)
        return hill(unit, "gaussian", N_DIRECTIONS).astype(np.float32)


def leaving(errors: Floats, curvature: Floats, n: int, key: int) -> Ints:
    """Chooses which patterns leave a full buffer.

    Args:
        errors: how badly each is known, (N,).
        curvature: their labels, (N,) [1/m].
        n: how many leave, at most N.
        key: of what is drawn.

    Returns:
        Two thirds of n of least error; the rest drawn from those on the side to which
        the mean of the others leans, from all of them where too few are on that side, (n,).
    """
    rng = np.random.default_rng(key)
    n_known = int(BEST_KNOWN * n + rng.random())  # rounds up as often as its fraction says
    known = np.argsort(errors, kind="stable")[:n_known]
    rest = np.setdiff1d(np.arange(len(errors)), known)
    side = rest[np.sign(curvature[rest]) == np.sign(curvature[rest].mean())]
    pool = side if len(side) >= n - n_known else rest
    return np.concatenate((known, rng.choice(pool, n - n_known, replace=False)))


def train(
    data: Sequence[Episode] | Dataset,
    config: Config,
    seed: int,
    renderer: augment.Renderer | None = None,
    progress: ProgressFunction | None = None,
) -> OnTheFlyPolicy:
    """Teaches ALVINN while the drives of the data go by.

    Args:
        data: drives recorded with `SPEC`, in the order they are shown.
        config: how.
        seed: of weights, views and order.
        renderer: the camera that took the pictures; only views need it.
        progress: called after every cycle.

    Returns:
        The policy with the weights after the last cycle.

    Raises:
        ValueError: views without a renderer, or unusable data.
    """
    if config.views and renderer is None:
        raise ValueError(
            f"{config.views} views a picture are drawn: pass renderer, the camera "
            "on the map that the data were recorded on, or set views to 0"
        )
    taken = snapshots(data, config)
    network = OnTheFly(derive_seed(seed, "network"))
    cycles = Cycles(taken, network, config, seed, renderer)
    how = replace(config.fit, n_epochs=config.snapshots, n_steps=None)
    history = fit(network, cycles, loss, how, seed=seed, progress=progress, stage="on the fly")
    card = {
        "learner": "alvinn_1991",
        "labels": config.snapshots,
        "seed": seed,
        "config": asdict(config),
        "losses": history.losses[:: max(1, config.snapshots // 100)],
    }
    return OnTheFlyPolicy(network, config.max_curvature, SPEC, card)
