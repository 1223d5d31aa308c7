"""The driving network that the cloning learners share, and the policy around it.

It sees what the ObservationSpec asks for: a picture, the bird's-eye view, the state vector, the
scene as vectors, or several of them at once; speed and command always; the target point, the
previous action and how long it has stood where the spec shows them. What it says is its head's
affair (`heads`).

Policies run their network always padded to one fixed batch shape, on one thread: at a
fixed shape a row's result depends neither on its position nor on the other rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from drive_il.allocator import keep_freed_memory
from drive_il.backbones import BACKBONES, Backbone, eyes
from drive_il.datatypes import CONTROL, Array, Command, Floats, Records, State
from drive_il.datatypes import Observation as ObservationArrays
from drive_il.encoders import VectorEncoder
from drive_il.heads import HeadConfig, cell_log_probability, decode, terms
from drive_il.network_inputs import actions_of, driving_camera, driving_inputs, observed
from drive_il.randomness import derive_seed
from drive_il.sensor_specs import ObservationSpec
from drive_il.vector_layouts import BIRDVIEW_SHAPE
from drive_il.waypoints import track

INFERENCE_BATCH = 16
"""rows that every policy network takes at once"""
_SPARE = 1  # a matrix product may round its last row otherwise than the rest, seen with 16 rows
N_BRANCHES = 6
"""one output head per Command from LEFT to CHANGELANERIGHT"""
_CREEPING = 1.0  # [m/s]
_MEANT = 0.1  # throttle of who does not hover about zero
SPEED_SCALE = 10.0
"""[m/s] that the networks see as 1"""
Commands = Literal["branches", "input", "none"]
COMMANDS = ("branches", "input", "none")
_MEASURES = {"target_point": (20.0, 10.0), "previous_action": (1.0, 1.0), "standing": (2.0, 1.0)}
"""Pairs of numbers that a spec may show, and their usual sizes"""


@contextmanager
def one_thread() -> Iterator[None]:
    """Runs torch on one thread, without gradients, and puts the threads back."""
    keep_freed_memory()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(threads)


def in_fixed_batches(
    network: Callable[..., Tensor], *inputs: Array, batch: int = INFERENCE_BATCH
) -> Floats:
    """Runs a network over any number of rows at one fixed batch shape.

    Args:
        network: takes one tensor per input, returns (batch + 1, ...).
        inputs: arrays with the same number of leading rows, B.
        batch: rows at a time; the network always gets as many, padded with zeros, and one
            more that nobody looks at.

    Returns:
        (B, ...) as the network's outputs.
    """
    n_rows = len(inputs[0])
    outputs = []
    with one_thread():
        for first in range(0, n_rows, batch):
            n_here = min(batch, n_rows - first)
            padded = []
            for value in inputs:
                whole = np.zeros((batch + _SPARE, *value.shape[1:]), value.dtype)
                whole[:n_here] = value[first : first + n_here]
                padded.append(torch.from_numpy(whole))
            outputs.append(network(*padded)[:n_here].numpy())
    return np.concatenate(outputs) if outputs else np.zeros((0,))


@dataclass(frozen=True)
class NetworkConfig:
    """The driving network."""

    head: HeadConfig = field(default_factory=HeadConfig)
    """what it says, and its loss"""
    backbone: Backbone = "small"
    """what sees pictures: small, cil, pilotnet, resnet18 or resnet34"""
    channels: tuple[int, ...] = (16, 24, 32, 48)
    """of each convolution of the small backbone, stride 2"""
    first_kernel: int = 5
    """pixels, of the small backbone; the later kernels are 3x3"""
    hidden: int = 128
    """units that see the whole picture"""
    commands: Commands = "branches"
    """branches: one for each command; input: the command is an input; none: it is not seen"""
    branch_hidden: int = 32
    """units of each command's branch"""
    crop_top: float = 0.0
    """share of the camera's picture, from the top, that is not looked at: sky where roads have no
    lights; where they have, the uppermost quarter shows those of who stands at his line"""
    set_off: float = 0.0
    """throttle at least, in [0, 1], of a car that stands or creeps where the head says to go: a
    third or less moves no car (`sim.vehicle`): who hedges between brake and throttle stands"""
    use_speed: bool = True
    """False hides the speed from the network"""
    speed_loss: float = 0.0
    """weight of a second head's error, which tells the speed from what is seen; 0: none"""
    dropout: float = 0.0
    """share of the hidden units dropped while training"""
    state_hidden: tuple[int, ...] = (128, 128)
    """units of each layer that sees the state vector, and what was seen of actors and lanes"""
    set_hidden: int = 64
    """units that see one actor or one lane; of all of them the largest answer counts"""
    members: int = 1
    """networks that learn side by side; their mean drives, their spread is the doubt"""

    def __post_init__(self) -> None:
        if not self.state_hidden or min(self.state_hidden) < 1:
            raise ValueError(
                f"state_hidden must be one or more positive numbers, got {self.state_hidden}"
            )
        for name in ("set_hidden", "members", "hidden", "branch_hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.channels or min(self.channels) < 1:
            raise ValueError(f"channels must be one or more positive numbers, got {self.channels}")
        if self.first_kernel < 1 or self.first_kernel % 2 == 0:
            raise ValueError(f"first_kernel must be odd and positive, got {self.first_kernel}")
        if not 0 <= self.set_off <= 1:
            raise ValueError(f"set_off must be in [0, 1], got {self.set_off}")
        for name in ("crop_top", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        if not self.speed_loss >= 0:
            raise ValueError(f"speed_loss must not be negative, got {self.speed_loss}")
        for name, allowed in (("backbone", BACKBONES), ("commands", COMMANDS)):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}"
                )


class DrivingNetwork(nn.Module):
    """What the spec shows, speed and command -> outputs, with one branch per command.

    The branches are those of conditional imitation learning (Codevilla et al. 2018): only
    the branch of the row's command is evaluated, so the others get zero gradient.
    """

    def __init__(self, config: NetworkConfig, spec: ObservationSpec, n_outputs: int) -> None:
        super().__init__()
        names = driving_inputs(spec)  # refuses a spec that shows nothing
        self.head, self.commands, self.speed_loss = config.head, config.commands, config.speed_loss
        self.use_speed = config.use_speed
        n_seen = 0
        self.encoder: nn.Sequential | None = None
        self.trunk: nn.Linear | None = None
        self.above: nn.Sequential | None = None
        self.above_trunk: nn.Linear | None = None
        self.vectors: VectorEncoder | None = None
        if "rgb" in names:
            camera = driving_camera(spec)
            self.first_row = int(config.crop_top * camera.height)
            shape = (3, camera.height - self.first_row, camera.width)
            self.encoder, self.trunk = _eyes(config, shape)
            n_seen += config.hidden
        if "birdview" in names:
            self.above, self.above_trunk = _eyes(config, BIRDVIEW_SHAPE[spec.birdview_actors])
            n_seen += config.hidden
        if spec.state or spec.vectors is not None:
            self.vectors = VectorEncoder(spec, config.state_hidden, config.set_hidden)
            n_seen += self.vectors.n_features
        self.measures = tuple(name for name in _MEASURES if name in names)
        n_told = N_BRANCHES if config.commands == "input" else 0
        self.n_features = n_seen + int(config.use_speed) + 2 * len(self.measures) + n_told
        self.dropout = nn.Dropout(config.dropout)
        self.speed_layers: nn.Sequential | None = None
        if config.speed_loss > 0:
            width = config.hidden
            self.speed_layers = nn.Sequential(
                nn.Linear(n_seen, width), nn.ReLU(), nn.Linear(width, 1)
            )
        n_branches = N_BRANCHES if config.commands == "branches" else 1
        hidden = config.branch_hidden
        self.branch_weight = nn.Parameter(torch.empty(n_branches, hidden, self.n_features))
        self.branch_bias = nn.Parameter(torch.zeros(n_branches, hidden))
        self.head_weight = nn.Parameter(torch.empty(n_branches, n_outputs, hidden))
        self.head_bias = nn.Parameter(torch.zeros(n_branches, n_outputs))

    def initialise(self, seed: int) -> DrivingNetwork:
        """Draws all weights from the seed, and returns itself."""
        generator = torch.Generator().manual_seed(seed)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                fan_in = module.weight[0].numel()
                nn.init.normal_(module.weight, std=math.sqrt(2 / fan_in), generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(
            self.branch_weight,
            std=math.sqrt(2 / self.branch_weight.shape[2]),
            generator=generator,
        )
        # Small outputs at the start: the policy begins near zero steer.
        nn.init.normal_(
            self.head_weight,
            std=0.1 * math.sqrt(1 / self.head_weight.shape[2]),
            generator=generator,
        )
        return self

    def seen(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Returns what pictures and vectors tell, (B, n_seen); the arguments of `forward`."""
        parts = []
        if self.encoder is not None and self.trunk is not None:
            # Seen as (B, 3, H, W), an RGB image as cameras give it is channels_last already.
            picture = batch["rgb"][:, self.first_row :].permute(0, 3, 1, 2)
            picture = picture.float().sub_(128.0).mul_(1 / 64)
            parts.append(self.dropout(functional.relu(self.trunk(self.encoder(picture)))))
        if self.above is not None and self.above_trunk is not None:
            raster = batch["birdview"].float().mul_(1 / 255)
            parts.append(self.dropout(functional.relu(self.above_trunk(self.above(raster)))))
        if self.vectors is not None:
            parts.append(self.dropout(self.vectors(batch)))
        return torch.cat(parts, 1)

    def features(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Returns what the branches decide by, (B, n_features); the arguments of `forward`."""
        return self._joined(self.seen(batch), batch)

    def _joined(self, seen: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Adds what is measured and told to what is seen."""
        parts = [seen]
        if self.use_speed:
            parts.append(batch["speed"].float()[:, None] / SPEED_SCALE)
        for name in self.measures:
            parts.append(batch[name].float() / torch.tensor(_MEASURES[name]).to(seen))
        if self.commands == "input":
            parts.append(functional.one_hot(branch_of(batch["command"]), N_BRANCHES).to(seen))
        return torch.cat(parts, 1)

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Returns the outputs of each row's branch.

        Args:
            batch: `driving_inputs` by name; `rgb` (B, H, W, 3) uint8 is normalised here,
                `speed` (B,) [m/s], `command` (B,) int64 of Command.

        Returns:
            (B, n_outputs) float32.
        """
        return self._answer(self.features(batch), batch["command"])

    def _answer(self, features: Tensor, command: Tensor) -> Tensor:
        branch = branch_of(command)
        if self.commands != "branches":
            branch = torch.zeros_like(branch)
        hidden = torch.einsum("bi,noi->bno", features, self.branch_weight)
        hidden = functional.relu(_pick(hidden + self.branch_bias, branch))
        outputs = torch.einsum("bi,noi->bno", hidden, self.head_weight) + self.head_bias
        return _pick(outputs, branch)

    def errors(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Returns the terms of the loss of each row, (B, n_terms).

        They are those of the head, and the error of the told speed where there is such a head.

        Args:
            batch: as `forward`'s, with what `driving_frames` adds: `target`, `places`.
        """
        seen = self.seen(batch)
        outputs = self._answer(self._joined(seen, batch), batch["command"])
        rows = terms(self.head, outputs, batch["target"], batch.get("places"))
        if self.speed_layers is None:
            return rows
        told = self.speed_layers(seen)[:, 0]
        error = (told - batch["speed"].float() / SPEED_SCALE).abs()
        return torch.cat((rows, error[:, None]), 1)

    def weights(self, steer_weight: float) -> tuple[float, ...]:
        """Returns the weight of each term of `errors`."""
        more = (self.speed_loss,) if self.speed_layers is not None else ()
        return self.head.weights(steer_weight) + more

    def decisions(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Returns steer and acceleration (B, 2), or waypoints (B, K, 2) [m]."""
        return decode(self.head, self(batch))

    def log_probability(self, batch: Mapping[str, Tensor], action: Tensor) -> Tensor:
        """Returns log pi of the cell that each action (B, 2) lies in, (B,) [nats].

        Only heads that give probabilities have it, see `heads.cell_log_probability`.
        """
        return cell_log_probability(self.head, self(batch), action)


def _eyes(config: NetworkConfig, shape: tuple[int, int, int]) -> tuple[nn.Sequential, nn.Linear]:
    """Returns the layers that see pictures of a shape (planes, height, width)."""
    layers, n = eyes(config.backbone, config.channels, config.first_kernel, *shape)
    return layers, nn.Linear(n, config.hidden)


class Ensemble(nn.Module):
    """Driving networks with weights of their own, side by side."""

    def __init__(self, members: Iterable[DrivingNetwork]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    @property
    def first(self) -> DrivingNetwork:
        """The first member."""
        member = self.members[0]
        assert isinstance(member, DrivingNetwork)
        return member

    def each(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Returns what each member decides, (B, M, 2) or (B, M, K, 2)."""
        return torch.stack([member.decisions(batch) for member in self._all()], 1)

    def decisions(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Returns the mean of what the members decide, (B, 2) or (B, K, 2)."""
        return self.each(batch).mean(1)

    def errors(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Returns the terms of the loss of each row and member, (B, M, n_terms)."""
        return torch.stack([member.errors(batch) for member in self._all()], 1)

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Returns what `decisions` does."""
        return self.decisions(batch)

    def _all(self) -> Iterator[DrivingNetwork]:
        for member in self.members:
            assert isinstance(member, DrivingNetwork)
            yield member


def branch_of(command: Tensor) -> Tensor:
    """Returns the branch index (B,) of each command; VOID follows the lane."""
    followed = torch.where(command < Command.LEFT, int(Command.LANEFOLLOW), command)
    return followed - int(Command.LEFT)


def _pick(values: Tensor, branch: Tensor) -> Tensor:
    """Returns values[b, branch[b]] of a (B, N_BRANCHES, K) tensor, (B, K)."""
    index = branch[:, None, None].expand(-1, 1, values.shape[2])
    return values.gather(1, index)[:, 0]


def driving_network(
    config: NetworkConfig, spec: ObservationSpec, seed: int
) -> DrivingNetwork | Ensemble:
    """Returns a fresh network with the outputs of its head."""
    members = [
        DrivingNetwork(config, spec, config.head.n_outputs)
        .initialise(seed if k == 0 else derive_seed(seed, "member", k))
        .to(memory_format=torch.channels_last)
        .eval()
        for k in range(config.members)
    ]
    return members[0] if config.members == 1 else Ensemble(members).eval()


def driving_loss(steer_weight: float) -> Callable[[nn.Module, dict[str, Tensor]], Tensor]:
    """Returns the loss of the cloning learners, that of the network's head.

    Frames count as `weight` says where the batch has one: (B, 1), or (B, M) for each member of
    an ensemble, whose loss is the sum over members.

    Args:
        steer_weight: of errors aside against errors along.
    """

    def loss(network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        assert isinstance(network, (DrivingNetwork, Ensemble))
        rows = network.errors(batch)
        first = network
        if isinstance(network, Ensemble):
            first = network.first
            if "weight" in batch:
                rows = rows * batch["weight"][..., None]
            error = rows.mean(0).sum(0)
        else:
            error = (rows * batch["weight"] if "weight" in batch else rows).mean(0)
        assert isinstance(first, DrivingNetwork)
        weighted = [w * error[k] for k, w in enumerate(first.weights(steer_weight))]
        total: Tensor = torch.stack(weighted).sum()
        return total

    return loss


@dataclass(frozen=True)
class DrivingPolicy:
    """Drives by what its spec shows; only a tracker of waypoints has a memory.

    Attributes:
        network: gives steer and acceleration, or waypoints.
        config: of the network.
        spec: the sensors it was trained with.
        card: where it comes from: learner, seed, labels, training config.
    """

    network: DrivingNetwork | Ensemble
    config: NetworkConfig
    spec: ObservationSpec
    card: Mapping[str, Any] = field(default_factory=dict)

    def initial_state(self, n_rows: int) -> State:
        """Returns the tracker's memory `speed_errors` (n_rows, 2) of waypoints, else nothing."""
        if self.config.head.kind != "waypoints":
            return {}
        return {"speed_errors": np.zeros((n_rows, 2))}

    def act(self, observation: ObservationArrays, state: State) -> tuple[Records, State, State]:
        """Returns (control (B,) CONTROL, new state, info: `waypoints` (B, K, 2) where told)."""
        decided = self.run(self.network.decisions, observation).astype(np.float64)
        speed, least = observation["speed"], self.config.set_off
        if self.config.head.kind != "waypoints":
            return _setting_off(_control(decided), speed, least), {}, {}
        fresh = self.initial_state(len(decided))
        memory = (state or fresh)["speed_errors"]
        tracker = self.config.head.tracker
        control, memory = track(decided, speed, memory, tracker)
        info = {"waypoints": decided.astype(np.float32)}
        return _setting_off(control, speed, least), {"speed_errors": memory}, info

    @property
    def no_probabilities(self) -> str:
        """Why it does not say how likely each action is; empty where it does."""
        if isinstance(self.network, Ensemble):
            return "it drives the mean of what several networks decide"
        if self.config.head.kind not in ("log_loss", "mixture"):
            return f"its head ({self.config.head.kind}) gives one action, not the chance of each"
        return ""

    def log_probability(self, observation: ObservationArrays, control: Records) -> Floats:
        """Returns how likely it holds each control, to the bin of steer and acceleration.

        Args:
            observation: what it saw, (B, ...) each.
            control: (B,) CONTROL.

        Returns:
            Natural logarithms, at most 0, (B,).

        Raises:
            ValueError: it has no probabilities.
        """
        if self.no_probabilities or isinstance(self.network, Ensemble):
            raise ValueError(f"the policy has no probabilities: {self.no_probabilities}")
        network, inputs = self.network, observed(observation, self.spec)

        def call(action: Tensor, *tensors: Tensor) -> Tensor:
            return network.log_probability(dict(zip(inputs, tensors, strict=True)), action)

        return in_fixed_batches(call, actions_of(control), *inputs.values()).astype(np.float64)

    def each(self, observation: ObservationArrays) -> Floats:
        """Returns what each member would do, (B, M, 2): steer and acceleration.

        Raises:
            ValueError: the policy is no ensemble.
        """
        if not isinstance(self.network, Ensemble):
            raise ValueError(
                "doubt is the disagreement of an ensemble, and this policy has one network; set "
                "rounds.network.members to 2 or more"
            )
        decided = self.run(self.network.each, observation).astype(np.float64)
        if self.config.head.kind != "waypoints":
            return np.asarray(decided)
        n_rows, members = decided.shape[:2]
        flat, speed = decided.reshape(-1, *decided.shape[2:]), observation["speed"]
        fresh = np.zeros((n_rows * members, 2))
        control, _ = track(flat, np.repeat(speed, members), fresh, self.config.head.tracker)
        return actions_of(control).reshape(n_rows, members, 2)

    def run(
        self, function: Callable[[dict[str, Tensor]], Tensor], observation: Mapping[str, Array]
    ) -> Floats:
        """Returns a function of the network's inputs, at one fixed batch shape, (B, ...)."""
        inputs = observed(observation, self.spec)

        def call(*tensors: Tensor) -> Tensor:
            return function(dict(zip(inputs, tensors, strict=True)))

        return in_fixed_batches(call, *inputs.values())


def _control(actions: Floats) -> Records:
    """Returns (B,) CONTROL of steer and acceleration (B, 2)."""
    control = np.zeros(len(actions), CONTROL)
    control["steer"] = np.clip(actions[:, 0], -1.0, 1.0)
    control["throttle"] = np.clip(actions[:, 1], 0.0, 1.0)
    control["brake"] = np.clip(-actions[:, 1], 0.0, 1.0)
    return control


def _setting_off(control: Records, speed: Array, least: float) -> Records:
    """Returns (B,) CONTROL that moves who is to go from where he stands; see `set_off`."""
    throttle = control["throttle"]
    goes = (speed < _CREEPING) & (throttle > _MEANT)
    control["throttle"] = np.where(goes, np.maximum(throttle, least), throttle)
    return control
