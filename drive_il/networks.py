"""The camera network that the cloning learners share, and the policy around it.

Policies run their network always padded to one fixed batch shape, on one thread: at a
fixed shape a row's result depends neither on its position nor on the other rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from drive_il.datatypes import CONTROL, Array, Command, Floats, Records, State
from drive_il.datatypes import Observation as ObservationArrays
from drive_il.sensor_specs import CameraSpec, ObservationSpec

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
    """The camera network."""

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

    def __post_init__(self) -> None:
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


class CameraNetwork(nn.Module):
    """Picture, speed and command -> outputs, with one branch per command.

    The branches are those of conditional imitation learning (Codevilla et al. 2018): only
    the branch of the row's command is evaluated, so the others get zero gradient.
    """

    def __init__(self, config: NetworkConfig, height: int, width: int, n_outputs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        self.first_row = int(config.crop_top * height)
        height -= self.first_row
        n_in, kernel = 3, config.first_kernel
        for n_out in config.channels:
            layers += [nn.Conv2d(n_in, n_out, kernel, 2, kernel // 2), nn.ReLU()]
            n_in, kernel = n_out, 3
            height, width = -(-height // 2), -(-width // 2)
        self.use_speed = config.use_speed
        self.encoder = nn.Sequential(*layers, nn.Flatten())
        self.trunk = nn.Linear(n_in * height * width, config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        n_trunk = config.hidden + int(config.use_speed)
        self.branch_weight = nn.Parameter(torch.empty(N_BRANCHES, config.branch_hidden, n_trunk))
        self.branch_bias = nn.Parameter(torch.zeros(N_BRANCHES, config.branch_hidden))
        self.head_weight = nn.Parameter(torch.empty(N_BRANCHES, n_outputs, config.branch_hidden))
        self.head_bias = nn.Parameter(torch.zeros(N_BRANCHES, n_outputs))

    def initialise(self, seed: int) -> CameraNetwork:
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

    def forward(self, rgb: Tensor, speed: Tensor, command: Tensor) -> Tensor:
        """Returns the outputs of each row's branch.

        Args:
            rgb: (B, H, W, 3) uint8; normalised here.
            speed: (B,) float32 [m/s].
            command: (B,) int64 of Command.

        Returns:
            (B, n_outputs) float32.
        """
        # Seen as (B, 3, H, W), an RGB image as cameras give it is channels_last already.
        picture = rgb[:, self.first_row :].permute(0, 3, 1, 2).float().sub_(128.0).mul_(1 / 64)
        features = functional.relu(self.trunk(self.encoder(picture)))
        features = self.dropout(features)
        if self.use_speed:
            features = torch.cat((features, speed.float()[:, None] / SPEED_SCALE), 1)
        branch = branch_of(command)
        hidden = torch.einsum("bi,noi->bno", features, self.branch_weight) + self.branch_bias
        hidden = functional.relu(_pick(hidden, branch))
        outputs = torch.einsum("bi,noi->bno", hidden, self.head_weight) + self.head_bias
        return _pick(outputs, branch)


def branch_of(command: Tensor) -> Tensor:
    """Returns the branch index (B,) of each command; VOID follows the lane."""
    followed = torch.where(command < Command.LEFT, int(Command.LANEFOLLOW), command)
    return followed - int(Command.LEFT)


def _pick(values: Tensor, branch: Tensor) -> Tensor:
    """Returns values[b, branch[b]] of a (B, N_BRANCHES, K) tensor, (B, K)."""
    index = branch[:, None, None].expand(-1, 1, values.shape[2])
    return values.gather(1, index)[:, 0]


def driving_network(config: NetworkConfig, camera: CameraSpec, seed: int) -> CameraNetwork:
    """Returns a fresh network with the outputs steer and acceleration."""
    network = CameraNetwork(config, camera.height, camera.width, 2)
    return network.initialise(seed).to(memory_format=torch.channels_last).eval()


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


def driving_frames(frames: Mapping[str, Array], camera: CameraSpec) -> dict[str, Array]:
    """Returns what `driving_loss` needs of labelled frames.

    Args:
        frames: named arrays with N rows: the camera's picture, `speed`, `command` and
            `control`, the expert's labels.
        camera: the one to learn from.

    Returns:
        `rgb` (N, H, W, 3) uint8, `speed` (N,) float32, `command` (N,) int64, `target`
        (N, 2) float32: steer and acceleration.

    Raises:
        ValueError: the pictures are not of this camera, or a label is missing.
    """
    rgb = frames.get(camera.name)
    if rgb is None or rgb.shape[1:] != (camera.height, camera.width, 3):
        found = "none" if rgb is None else f"{rgb.shape[2]}x{rgb.shape[1]}"
        raise ValueError(
            f"the data must hold {camera.width}x{camera.height} pictures of the camera "
            f"{camera.name!r}, got {found}; record with the same observation"
        )
    control = frames["control"]
    target = np.stack((control["steer"], pedals_to_acceleration(control)), 1).astype(np.float32)
    if not np.isfinite(target).all():
        raise ValueError("a labelled frame has no expert control (NaN); verify the dataset")
    return {
        "rgb": rgb,
        "speed": np.asarray(frames["speed"], np.float32),
        "command": np.asarray(frames["command"], np.int64),
        "target": target,
    }


def driving_loss(steer_weight: float) -> Callable[[nn.Module, dict[str, Tensor]], Tensor]:
    """Returns the loss of the cloning learners: weighted L1 on steer and acceleration."""

    def loss(network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        outputs = network(batch["rgb"], batch["speed"], batch["command"])
        error: Tensor = (outputs - batch["target"]).abs().mean(0)
        return steer_weight * error[0] + error[1]

    return loss


@dataclass(frozen=True)
class DrivingPolicy:
    """Drives from one camera, the speed and the command, without memory.

    Attributes:
        network: gives steer and acceleration.
        config: of the network.
        spec: the sensors it was trained with.
        card: where it comes from: learner, seed, labels, training config.
    """

    network: CameraNetwork
    config: NetworkConfig
    spec: ObservationSpec
    card: Mapping[str, Any] = field(default_factory=dict)

    def initial_state(self, n_rows: int) -> State:
        """Returns nothing: the policy has no memory."""
        return {}

    def act(self, observation: ObservationArrays, state: State) -> tuple[Records, State, State]:
        """Returns (control (B,) CONTROL, {}, {})."""
        camera = driving_camera(self.spec)
        rgb = observation[camera.name]
        if rgb.shape[1:] != (camera.height, camera.width, 3) or rgb.dtype != np.uint8:
            raise ValueError(
                f"camera {camera.name!r} must give (B, {camera.height}, {camera.width}, 3) uint8, "
                f"got {rgb.shape} {rgb.dtype}; observe with the policy's own spec"
            )
        outputs = in_fixed_batches(
            self.network,
            rgb,
            np.asarray(observation["speed"], np.float32),
            np.asarray(observation["command"], np.int64),
        ).astype(np.float64)
        control = np.zeros(len(rgb), CONTROL)
        control["steer"] = np.clip(outputs[:, 0], -1.0, 1.0)
        control["throttle"] = np.clip(outputs[:, 1], 0.0, 1.0)
        control["brake"] = np.clip(-outputs[:, 1], 0.0, 1.0)
        return control, {}, {}
