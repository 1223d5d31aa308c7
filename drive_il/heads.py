"""What the outputs of a driving network mean: heads, their losses, and how they are decoded.

    l1, l2      steer and acceleration themselves (Codevilla et al. 2019; 2018)
    log_loss    a probability for each bin of steer and of acceleration; cross-entropy. The
                honest baseline of theory (Foster, Block, Misra 2024): its regret has no
                quadratic term
    mixture     a Gaussian mixture over both actions (Bishop 1994), negative log-likelihood;
                the mode is driven, so that two ways around are never averaged
    waypoints   places in the ego frame (`waypoints`), L1; a tracker drives them

A loss is a row of terms per frame, weighed and summed; `decode` gives actions, or waypoints.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from drive_il.waypoints import N_WAYPOINTS, TIMES, TrackerConfig

Kind = Literal["l1", "l2", "log_loss", "mixture", "waypoints"]
N_ACTIONS = 2
"""steer, and acceleration: throttle minus brake"""
_FORWARD = 10.0  # [m/s] usual size of waypoints ahead, per time
_ASIDE = 1.0  # [m/s^2] aside, per time squared: near waypoints count as much as far ones


@dataclass(frozen=True)
class HeadConfig:
    """What the network says."""

    kind: Kind = "l1"
    """l1, l2, log_loss (bins), mixture (of Gaussians) or waypoints"""
    bins: int = 63
    """of log_loss, for steer and for acceleration; odd, so that zero is the middle one"""
    components: int = 3
    """of mixture"""
    least_std: float = 0.01
    """of mixture: no component is narrower, so that the density stays bounded"""
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    """how waypoints are driven"""

    def __post_init__(self) -> None:
        allowed = ("l1", "l2", "log_loss", "mixture", "waypoints")
        if self.kind not in allowed:
            raise ValueError(f"head.kind must be one of {', '.join(allowed)}, got {self.kind!r}")
        if self.bins < 3 or self.bins % 2 == 0:
            raise ValueError(f"head.bins must be odd and at least 3, got {self.bins}")
        if self.components < 1:
            raise ValueError(f"head.components must be at least 1, got {self.components}")
        if not self.least_std > 0:
            raise ValueError(f"head.least_std must be positive, got {self.least_std}")

    @property
    def n_outputs(self) -> int:
        """Numbers that the network gives."""
        return {
            "l1": N_ACTIONS,
            "l2": N_ACTIONS,
            "log_loss": N_ACTIONS * self.bins,
            "mixture": self.components * (1 + 2 * N_ACTIONS),
            "waypoints": 2 * N_WAYPOINTS,
        }[self.kind]

    def weights(self, steer_weight: float) -> tuple[float, ...]:
        """Returns the weight of each of the loss's terms.

        Args:
            steer_weight: of errors aside against errors along; densities weigh by themselves.
        """
        return {
            "log_loss": (1.0, 1.0),
            "mixture": (1.0,),
        }.get(self.kind, (steer_weight, 1.0))


def terms(head: HeadConfig, outputs: Tensor, target: Tensor, places: Tensor | None) -> Tensor:
    """Returns the terms of the loss of each row, (..., n_terms).

    Args:
        head: what the outputs mean.
        outputs: (..., n_outputs).
        target: steer and acceleration, broadcast against the outputs' rows, (..., 2).
        places: waypoints, (..., K, 2) [m]; only that head looks at them.
    """
    if head.kind == "l1":
        return (outputs - target).abs()
    if head.kind == "l2":
        return (outputs - target).square()
    if head.kind == "log_loss":
        return -log_probabilities(head, outputs, target)
    if head.kind == "mixture":
        return -log_density(head, outputs, target)[..., None]
    assert places is not None, "driving_frames gives waypoints to this head"
    error = (_scaled(outputs) - places).abs() / _sizes(outputs)
    return error.mean(-2).flip(-1)  # aside first, as steer is


def decode(head: HeadConfig, outputs: Tensor) -> Tensor:
    """Returns steer and acceleration (..., 2), or waypoints (..., K, 2) [m]."""
    if head.kind in ("l1", "l2"):
        return outputs
    if head.kind == "waypoints":
        return _scaled(outputs)
    if head.kind == "mixture":
        weight, mean, std = mixture(head, outputs)
        # The kernel with the highest peak stands for the mode (Bishop 1994, section 4).
        best = (weight - std.log().sum(-1)).argmax(-1)
        index = best[..., None, None].expand(*best.shape, 1, N_ACTIONS)
        return mean.gather(-2, index)[..., 0, :]
    probability = _logits(head, outputs).softmax(-1)
    places = torch.arange(head.bins, device=outputs.device)
    near = (places - probability.argmax(-1, keepdim=True)).abs() <= 1
    share = torch.where(near, probability, 0.0)
    return (share * bin_centres(head.bins).to(outputs)).sum(-1) / share.sum(-1)


def bin_centres(n: int) -> Tensor:
    """Returns the actions that n bins stand for, (n,) in [-1, 1].

    Evenly spaced in sign(a) sqrt|a|: fine about zero, where nearly all steering is.
    """
    half = (n - 1) // 2
    u = torch.arange(-half, half + 1) / half
    return u.sign() * u.square()


def bin_of(action: Tensor, n: int) -> Tensor:
    """Returns the bin of each action in [-1, 1], int64 of the same shape."""
    u = action.sign() * action.abs().sqrt()
    return ((u + 1.0) * (0.5 * (n - 1))).round().long().clamp(0, n - 1)


def log_probabilities(head: HeadConfig, outputs: Tensor, action: Tensor) -> Tensor:
    """Returns log pi(a | o) of steer and of acceleration under log_loss, (..., 2) [nats]."""
    logits = _logits(head, outputs)
    index = bin_of(action, head.bins).expand(logits.shape[:-1])
    return functional.log_softmax(logits, -1).gather(-1, index[..., None])[..., 0]


def cell_log_probability(head: HeadConfig, outputs: Tensor, action: Tensor) -> Tensor:
    """Returns log pi of the cell of bins that an action lies in, both of its parts, (...) [nats].

    Cells partition all actions, so that this is a probability, as the bounds for log-loss need it;
    a density is none. A mixture's is its mass in the cell; the outermost bins reach to infinity.

    Args:
        head: log_loss or mixture; the others give one action.
        outputs: (..., n_outputs).
        action: steer and acceleration, (..., 2).
    """
    if head.kind == "log_loss":
        return log_probabilities(head, outputs, action).sum(-1)
    assert head.kind == "mixture", f"a head of {head.kind} has no probabilities"
    weight, mean, std = (part.double() for part in mixture(head, outputs))
    inner = bin_edges(head.bins).to(mean)
    far = inner.new_tensor([math.inf])
    edges = torch.cat((-far, inner, far))
    index = bin_of(action, head.bins)[..., None, :]
    low, high = (edges[index] - mean) / std, (edges[index + 1] - mean) / std
    # In the upper tail both cumulative probabilities round to 1; mirrored they do not.
    upper = low > 0
    low, high = torch.where(upper, -high, low), torch.where(upper, -low, high)
    top = torch.special.log_ndtr(high)
    mass = top + torch.log1p(-torch.exp(torch.special.log_ndtr(low) - top))
    return torch.logsumexp(weight + mass.sum(-1), -1)


def bin_edges(n: int) -> Tensor:
    """Returns the actions between n bins, (n - 1,)."""
    half = (n - 1) // 2
    u = (torch.arange(-half, half) + 0.5) / half
    return u.sign() * u.square()


def _logits(head: HeadConfig, outputs: Tensor) -> Tensor:
    return outputs.reshape(*outputs.shape[:-1], N_ACTIONS, head.bins)


def mixture(head: HeadConfig, outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns log weights (..., M), means (..., M, 2) and standard deviations (..., M, 2)."""
    shape = (*outputs.shape[:-1], head.components, 1 + 2 * N_ACTIONS)
    parts = outputs.reshape(shape).float()
    weight = functional.log_softmax(parts[..., 0], -1)
    std = head.least_std + functional.softplus(parts[..., 1 + N_ACTIONS :])
    return weight, parts[..., 1 : 1 + N_ACTIONS], std


def log_density(head: HeadConfig, outputs: Tensor, action: Tensor) -> Tensor:
    """Returns log p(a | o) of a mixture of Gaussians with diagonal covariances, (...)."""
    weight, mean, std = mixture(head, outputs)
    deviation = (action[..., None, :] - mean) / std
    each = -0.5 * deviation.square() - std.log() - 0.5 * math.log(2.0 * math.pi)
    return torch.logsumexp(weight + each.sum(-1), -1)


def _sizes(outputs: Tensor) -> Tensor:
    """Returns what outputs of 1 stand for, (K, 2) [m]."""
    time = torch.tensor(TIMES).to(outputs)
    return torch.stack((_FORWARD * time, _ASIDE * time.square()), 1)


def _scaled(outputs: Tensor) -> Tensor:
    return outputs.reshape(*outputs.shape[:-1], N_WAYPOINTS, 2) * _sizes(outputs)
