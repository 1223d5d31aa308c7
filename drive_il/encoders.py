"""Encoders of observations that are vectors; pictures are encoded by the driving network."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from drive_il.sensor_specs import ObservationSpec
from drive_il.vector_layouts import ACTOR, LANE, STATE


def _sizes(layout: Mapping[str, float]) -> Tensor:
    return torch.tensor(list(layout.values()))


def _layers(n_in: int, hidden: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n_out in hidden:
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        n_in = n_out
    return nn.Sequential(*layers)


class SetEncoder(nn.Module):
    """Any number of things, in any order: the largest of each feature (PointNet, Qi et al. 2017).

    Args:
        layout: entries of one thing, with their usual sizes.
        n_points: a thing is so many points of the layout; 1 for an actor.
        hidden: features.
    """

    sizes: Tensor

    def __init__(self, layout: Mapping[str, float], n_points: int, hidden: int) -> None:
        super().__init__()
        self.register_buffer("sizes", _sizes(layout), persistent=False)
        self.layers = _layers(n_points * len(layout), (hidden, hidden))

    def forward(self, things: Tensor, mask: Tensor) -> Tensor:
        """Returns features (B, hidden) of things (B, N, [points,] entries) where mask (B, N)."""
        scaled = (things / self.sizes).flatten(2)
        features: Tensor = self.layers(scaled) * mask[..., None]  # after ReLU: nobody there is 0
        return features.amax(1)


class VectorEncoder(nn.Module):
    """The state vector, or the scene as vectors, or both -> features (B, n_features).

    Args:
        spec: which of them.
        hidden: units of each layer that sees everything.
        set_hidden: features of what is seen of actors, and of lanes.
    """

    sizes: Tensor

    def __init__(self, spec: ObservationSpec, hidden: tuple[int, ...], set_hidden: int) -> None:
        super().__init__()
        self.register_buffer("sizes", _sizes(STATE), persistent=False)
        self.n_actors, self.has_state = spec.state_actors, spec.state
        n_in = len(STATE) if spec.state else 0
        self.neighbours: SetEncoder | None = None
        self.actors: SetEncoder | None = None
        self.lanes: SetEncoder | None = None
        if spec.state_actors:
            self.neighbours = SetEncoder(ACTOR, 1, set_hidden)
            n_in += set_hidden
        if spec.vectors is not None:
            self.lanes = SetEncoder(LANE, spec.vectors.points, set_hidden)
            n_in += set_hidden
            if spec.vectors.actors:
                self.actors = SetEncoder(ACTOR, 1, set_hidden)
                n_in += set_hidden
        self.layers = _layers(n_in, hidden)
        self.n_features = hidden[-1]

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Returns features (B, n_features)."""
        parts = []
        if self.has_state:
            state = batch["state"]
            parts.append(state[:, : len(STATE)] / self.sizes)
            if self.neighbours is not None:
                around = state[:, len(STATE) :].reshape(-1, self.n_actors, 1 + len(ACTOR))
                parts.append(self.neighbours(around[..., 1:], around[..., 0]))
        if self.lanes is not None:
            parts.append(self.lanes(batch["lanes"], batch["lanes_mask"]))
        if self.actors is not None:
            parts.append(self.actors(batch["actors"], batch["actors_mask"]))
        features: Tensor = self.layers(torch.cat(parts, 1))
        return features
