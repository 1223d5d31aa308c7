"""What looks at pictures: the convolutions of the driving network, by name.

    small      four strided convolutions, ours: a third of a millisecond a picture on one core
    cil        eight convolutions with batch normalisation (Codevilla et al. 2018)
    pilotnet   five convolutions on YUV planes (Bojarski et al. 2016)
    resnet18, resnet34   torchvision's, from random weights (Codevilla et al. 2019)

All convolutions are padded: the papers' pictures are larger than 96x64.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Backbone = Literal["small", "cil", "pilotnet", "resnet18", "resnet34"]
BACKBONES = ("small", "cil", "pilotnet", "resnet18", "resnet34")
_RESNET_FEATURES = 512
_CIL = ((32, 5, 2), (32, 3, 1), (64, 3, 2), (64, 3, 1), (128, 3, 2), (128, 3, 1), (256, 3, 1))
_PILOTNET = ((24, 5, 2), (36, 5, 2), (48, 5, 2), (64, 3, 1), (64, 3, 1))


def eyes(
    name: Backbone,
    channels: tuple[int, ...],
    first_kernel: int,
    planes: int,
    height: int,
    width: int,
) -> tuple[nn.Sequential, int]:
    """Returns layers from pictures (B, planes, height, width) to features (B, N), and N.

    Args:
        name: which of `BACKBONES`.
        channels: of each convolution of `small`, stride 2.
        first_kernel: of `small` [pixels]; its later kernels are 3x3.
        planes: of the picture.
        height: [pixels].
        width: [pixels].
    """
    if name.startswith("resnet"):
        return _resnet(name, planes), _RESNET_FEATURES
    if name == "cil":
        return _convolutions(planes, (*_CIL, (256, 3, 1)), height, width, normalised=True)
    if name == "pilotnet":
        layers, n = _convolutions(planes, _PILOTNET, height, width)
        return (nn.Sequential(Yuv(), *layers) if planes == 3 else layers), n
    kernels = (first_kernel, *(3 for _ in channels[1:]))
    shapes = tuple((n, kernel, 2) for n, kernel in zip(channels, kernels, strict=True))
    return _convolutions(planes, shapes, height, width)


def _convolutions(
    planes: int,
    shapes: tuple[tuple[int, int, int], ...],
    height: int,
    width: int,
    normalised: bool = False,
) -> tuple[nn.Sequential, int]:
    """Returns convolutions of (channels, kernel, stride), flattened, and their features."""
    layers: list[nn.Module] = []
    for n_out, kernel, stride in shapes:
        layers.append(nn.Conv2d(planes, n_out, kernel, stride, kernel // 2))
        if normalised:
            layers.append(nn.BatchNorm2d(n_out))
        layers.append(nn.ReLU())
        planes = n_out
        height, width = -(-height // stride), -(-width // stride)
    return nn.Sequential(*layers, nn.Flatten()), planes * height * width


class Yuv(nn.Module):
    """RGB -> YUV (BT.601), as PilotNet sees pictures."""

    matrix: Tensor

    def __init__(self) -> None:
        super().__init__()
        matrix = torch.tensor(
            [[0.299, 0.587, 0.114], [-0.14713, -0.28886, 0.436], [0.615, -0.51499, -0.10001]]
        )
        self.register_buffer("matrix", matrix, persistent=False)

    def forward(self, picture: Tensor) -> Tensor:
        """Returns (B, 3, H, W) planes Y, U, V of planes R, G, B."""
        return torch.einsum("ij,bjhw->bihw", self.matrix, picture)


def _resnet(name: str, planes: int) -> nn.Sequential:
    from torchvision.models import resnet18, resnet34

    with torch.random.fork_rng():  # its weights are drawn again by `DrivingNetwork.initialise`
        network = {"resnet18": resnet18, "resnet34": resnet34}[name](weights=None)
    if planes != 3:
        network.conv1 = nn.Conv2d(planes, 64, 7, 2, 3, bias=False)
    parts = [part for key, part in network.named_children() if key != "fc"]
    return nn.Sequential(*parts, nn.Flatten())
