"""The driving network that the cloning learners share, and the policy around it.

It sees what the ObservationSpec asks for: one picture, the state vector, the scene as
vectors, or several of them at once; speed and command always.

Policies run their network always padded to one fixed batch shape, on one thread: at a
fixed shape a row's result depends neither on its position nor on the other rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from drive_il.datatypes import CONTROL, Array, Command, Floats, Records, State
from drive_il.datatypes import Observation as ObservationArrays
from drive_il.encoders import VectorEncoder
from drive_il.randomness import derive_seed
from drive_il.sensor_specs import CameraSpec, ObservationSpec
from drive_il.vector_layouts import ACTOR, LANE, STATE

INFERENCE_BATCH = 16
"""rows that every policy network takes at once"""
_SPARE = 1  # a matrix product may round its last row otherwise than the rest, seen with 16 rows
N_BRANCHES = 6
"""one output head per Command from LEFT to CHANGELANERIGHT"""
SPEED_SCALE = 10.0
"""[m/s] that the networks see as 1"""


@contextmanager
def one_thread() -> Iterator[None]:
    """Runs torch on one thread, without gradients, and puts the threads back."""
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

    channels: tuple[int, ...] = (16, 24, 32, 48)
    """of each convolution, stride 2"""
    first_kernel: int = 5
    """pixels; the later kernels are 3x3"""
    hidden: int = 128
    """units that see the whole picture"""
    branch_hidden: int = 32
    """units of each command's branch"""
    crop_top: float = 0.375
    """share of the picture's height, from the top, that is not looked at: sky"""
    use_speed: bool = True
    """False hides the speed from the network"""
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
        for name in ("set_hidden", "members"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.channels or min(self.channels) < 1:
            raise ValueError(f"channels must be one or more positive numbers, got {self.channels}")
        if self.first_kernel < 1 or self.first_kernel % 2 == 0:
            raise ValueError(f"first_kernel must be odd and positive, got {self.first_kernel}")
        if min(self.hidden, self.branch_hidden) < 1:
            raise ValueError(
                f"hidden and branch_hidden must be at least 1, got {self.hidden} and "
                f"{self.branch_hidden}"
            )
        if not 0 <= self.crop_top < 1:
            raise ValueError(f"crop_top must be in [0, 1), got {self.crop_top}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")


class DrivingNetwork(nn.Module):
    """What the spec shows, speed and command -> outputs, with one branch per command.

    The branches are those of conditional imitation learning (Codevilla et al. 2018): only
    the branch of the row's command is evaluated, so the others get zero gradient.
    """

    def __init__(self, config: NetworkConfig, spec: ObservationSpec, n_outputs: int) -> None:
        super().__init__()
        names = driving_inputs(spec)  # refuses a spec that shows nothing
        self.use_speed = config.use_speed
        n_features = int(config.use_speed)
        self.encoder: nn.Sequential | None = None
        self.trunk: nn.Linear | None = None
        self.vectors: VectorEncoder | None = None
        if "rgb" in names:
            n_features += self._see(config, driving_camera(spec))
        if spec.state or spec.vectors is not None:
            self.vectors = VectorEncoder(spec, config.state_hidden, config.set_hidden)
            n_features += self.vectors.n_features
        self.n_features = n_features
        self.dropout = nn.Dropout(config.dropout)
        hidden = config.branch_hidden
        self.branch_weight = nn.Parameter(torch.empty(N_BRANCHES, hidden, n_features))
        self.branch_bias = nn.Parameter(torch.zeros(N_BRANCHES, hidden))
        self.head_weight = nn.Parameter(torch.empty(N_BRANCHES, n_outputs, hidden))
        self.head_bias = nn.Parameter(torch.zeros(N_BRANCHES, n_outputs))

    def _see(self, config: NetworkConfig, camera: CameraSpec) -> int:
        """Adds the layers that see the picture; returns the features they give."""
        layers: list[nn.Module] = []
        height, width = camera.height, camera.width
        self.first_row = int(config.crop_top * height)
        height -= self.first_row
        n_in, kernel = 3, config.first_kernel
        for n_out in config.channels:
            layers += [nn.Conv2d(n_in, n_out, kernel, 2, kernel // 2), nn.ReLU()]
            n_in, kernel = n_out, 3
            height, width = -(-height // 2), -(-width // 2)
        self.encoder = nn.Sequential(*layers, nn.Flatten())
        self.trunk = nn.Linear(n_in * height * width, config.hidden)
        return config.hidden

    def initialise(self, seed: int) -> DrivingNetwork:
        """Draws all weights from the seed, and returns itself."""
        generator = torch.Generator().manual_seed(seed)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                fan_in = module.weight[0].numel()
                nn.init.normal_(module.weight, std=math.sqrt(2 / fan_in), generator=generator)
                assert module.bias is not None
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

    def features(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Returns what the branches decide by, (B, n_features); the arguments of `forward`."""
        parts = []
        if self.encoder is not None and self.trunk is not None:
            # Seen as (B, 3, H, W), an RGB image as cameras give it is channels_last already.
            picture = batch["rgb"][:, self.first_row :].permute(0, 3, 1, 2)
            picture = picture.float().sub_(128.0).mul_(1 / 64)
            parts.append(self.dropout(functional.relu(self.trunk(self.encoder(picture)))))
        if self.vectors is not None:
            parts.append(self.dropout(self.vectors(batch)))
        if self.use_speed:
            parts.append(batch["speed"].float()[:, None] / SPEED_SCALE)
        return torch.cat(parts, 1)

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Returns the outputs of each row's branch.

        Args:
            batch: `driving_inputs` by name; `rgb` (B, H, W, 3) uint8 is normalised here,
                `speed` (B,) [m/s], `command` (B,) int64 of Command.

        Returns:
            (B, n_outputs) float32.
        """
        branch = branch_of(batch["command"])
        hidden = torch.einsum("bi,noi->bno", self.features(batch), self.branch_weight)
        hidden = functional.relu(_pick(hidden + self.branch_bias, branch))
        outputs = torch.einsum("bi,noi->bno", hidden, self.head_weight) + self.head_bias
        return _pick(outputs, branch)


class Ensemble(nn.Module):
    """Driving networks with weights of their own, side by side."""

    def __init__(self, members: Iterable[DrivingNetwork]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def each(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Returns what each member says, (B, M, n_outputs)."""
        return torch.stack([member(batch) for member in self.members], 1)

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Returns the mean of the members, (B, n_outputs)."""
        return self.each(batch).mean(1)


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
    """Returns a fresh network with the outputs steer and acceleration."""
    members = [
        DrivingNetwork(config, spec, 2)
        .initialise(seed if k == 0 else derive_seed(seed, "member", k))
        .to(memory_format=torch.channels_last)
        .eval()
        for k in range(config.members)
    ]
    return members[0] if config.members == 1 else Ensemble(members).eval()


def pedals_to_acceleration(control: Records) -> Floats:
    """Returns throttle minus brake as one number in [-1, 1], (N,) float32."""
    return np.asarray(control["throttle"] - control["brake"], np.float32)


def driving_camera(spec: ObservationSpec) -> CameraSpec:
    """Returns the one RGB camera of an observation.

    Raises:
        ValueError: there is none, or more than one.
    """
    cameras = [camera for camera in spec.cameras if camera.kind == "rgb"]
    if len(cameras) != 1:
        raise ValueError(
            "this learner drives from exactly one rgb camera, the observation has "
            f"{len(cameras)}: {[camera.name for camera in cameras]}"
        )
    return cameras[0]


def driving_inputs(spec: ObservationSpec) -> tuple[str, ...]:
    """Returns what the network takes of an observation, by the names it uses.

    Raises:
        ValueError: nothing it could drive by, or more than one rgb camera.
    """
    names: tuple[str, ...] = ("speed", "command")
    if spec.cameras:
        driving_camera(spec)
        names = ("rgb", *names)
    if spec.state:
        names += ("state",)
    if spec.vectors is not None:
        names += ("lanes", "lanes_mask") + (("actors", "actors_mask") * bool(spec.vectors.actors))
    if len(names) == 2:
        raise ValueError(
            "nothing to drive by: this learner sees an rgb camera, the state vector "
            "(state=True) or the scene as vectors (vectors=VectorSpec())"
        )
    return names


def observed(seen: Mapping[str, Array], spec: ObservationSpec) -> dict[str, Array]:
    """Returns the network's inputs of an observation, or of recorded frames.

    Args:
        seen: named arrays with B rows, as an observer gives them.
        spec: the sensors that the network was made for.

    Raises:
        ValueError: a sensor is missing or of another size.
    """
    inputs = {}
    for name in driving_inputs(spec):
        key = driving_camera(spec).name if name == "rgb" else name
        value = seen.get(key)
        wanted = _shape_of(name, spec)
        is_bad = value is None or value.shape[1:] != wanted
        if value is None or is_bad or (name == "rgb" and value.dtype != np.uint8):
            found = "none" if value is None else f"{value.shape[1:]} {value.dtype}"
            raise ValueError(
                f"the observation must hold {key!r} of shape {wanted} per row, got {found}; "
                "observe and record with the policy's own spec"
            )
        dtype = {"speed": np.float32, "command": np.int64}.get(name, value.dtype)
        inputs[name] = np.asarray(value, dtype)
    return inputs


def _shape_of(name: str, spec: ObservationSpec) -> tuple[int, ...]:
    if name == "rgb":
        camera = driving_camera(spec)
        return camera.height, camera.width, 3
    if name == "state":
        return (len(STATE) + spec.state_actors * (1 + len(ACTOR)),)
    if name in ("speed", "command"):
        return ()
    assert spec.vectors is not None, name
    return {
        "lanes": (spec.vectors.lanes, spec.vectors.points, len(LANE)),
        "lanes_mask": (spec.vectors.lanes,),
        "actors": (spec.vectors.actors, len(ACTOR)),
        "actors_mask": (spec.vectors.actors,),
    }[name]


def driving_frames(frames: Mapping[str, Array], spec: ObservationSpec) -> dict[str, Array]:
    """Returns what `driving_loss` needs of labelled frames.

    Args:
        frames: named arrays with N rows: the observation and `control`, the expert's labels.
        spec: the sensors to learn from.

    Returns:
        `driving_inputs` and `target` (N, 2) float32: steer and acceleration.

    Raises:
        ValueError: a sensor is missing or of another size, or a label is missing.
    """
    control = frames["control"]
    target = np.stack((control["steer"], pedals_to_acceleration(control)), 1).astype(np.float32)
    if not np.isfinite(target).all():
        raise ValueError("a labelled frame has no expert control (NaN); verify the dataset")
    return observed(frames, spec) | {"target": target}


def driving_loss(steer_weight: float) -> Callable[[nn.Module, dict[str, Tensor]], Tensor]:
    """Returns the loss of the cloning learners: weighted L1 on steer and acceleration.

    Of an ensemble it is the sum over members, each on the frames that `weight` (B, M) gives
    it where the batch has one.
    """

    def loss(network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        if not isinstance(network, Ensemble):
            error: Tensor = (network(batch) - batch["target"]).abs().mean(0)
            return steer_weight * error[0] + error[1]
        errors = (network.each(batch) - batch["target"][:, None]).abs()  # (B, M, 2)
        if "weight" in batch:
            errors = errors * batch["weight"][..., None]
        error = errors.mean(0).sum(0)
        return steer_weight * error[0] + error[1]

    return loss


@dataclass(frozen=True)
class DrivingPolicy:
    """Drives by what its spec shows, without memory.

    Attributes:
        network: gives steer and acceleration.
        config: of the network.
        spec: the sensors it was trained with.
        card: where it comes from: learner, seed, labels, training config.
    """

    network: DrivingNetwork | Ensemble
    config: NetworkConfig
    spec: ObservationSpec
    card: Mapping[str, Any] = field(default_factory=dict)

    def initial_state(self, n_rows: int) -> State:
        """Returns nothing: the policy has no memory."""
        return {}

    def act(self, observation: ObservationArrays, state: State) -> tuple[Records, State, State]:
        """Returns (control (B,) CONTROL, {}, {})."""
        outputs = self.run(self.network, observation).astype(np.float64)
        control = np.zeros(len(outputs), CONTROL)
        control["steer"] = np.clip(outputs[:, 0], -1.0, 1.0)
        control["throttle"] = np.clip(outputs[:, 1], 0.0, 1.0)
        control["brake"] = np.clip(-outputs[:, 1], 0.0, 1.0)
        return control, {}, {}

    def run(
        self, function: Callable[[dict[str, Tensor]], Tensor], observation: Mapping[str, Array]
    ) -> Floats:
        """Returns a function of the network's inputs, at one fixed batch shape, (B, ...)."""
        inputs = observed(observation, self.spec)

        def call(*tensors: Tensor) -> Tensor:
            return function(dict(zip(inputs, tensors, strict=True)))

        return in_fixed_batches(call, *inputs.values())
