"""What a discriminator sees and how it learns; shared by GAIL and AIRL.

Absorbing states (Kostrikov et al. 2019). An episode that ends for good before its horizon
gives no reward from then on, and so the sign of the reward alone decides whether it is good to
live or to die. With absorbing states it goes on: in a state that says nothing but "over", up to
the horizon, for expert and policy alike. The discriminator sees that state as any other, and the
policy is paid its reward for ever after.

What a discriminator sees is a fixed function of the observation, never of time: no step counter,
no progress along the route, no seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from drive_il.datatypes import Bools, Episode
from drive_il.fit import labelled_frames
from drive_il.network_inputs import actions_of, observed
from drive_il.networks import N_BRANCHES, SPEED_SCALE, branch_of
from drive_il.ppo import TERMINAL
from drive_il.sensor_specs import ObservationSpec
from drive_il.vector_layouts import ACTOR, LANE, STATE

ACTION_SCALE = (0.1, 0.5)
"""steer and acceleration that a discriminator sees as 1"""


def n_features(spec: ObservationSpec) -> int:
    """Returns how many numbers a discriminator sees of a state, the absorbing flag included."""
    n = 1 + N_BRANCHES + 1
    if spec.state:
        n += len(STATE) + spec.state_actors * (1 + len(ACTOR))
    if spec.vectors is not None:
        n += spec.vectors.lanes * spec.vectors.points * len(LANE)
        n += spec.vectors.actors * len(ACTOR)
    return n


_SEEN = {"speed", "command", "state", "lanes", "lanes_mask", "actors", "actors_mask"}


def features(inputs: dict[str, Tensor], spec: ObservationSpec) -> Tensor:
    """Returns what a discriminator sees of each state, (N, n_features), about 1 in size.

    Args:
        inputs: `driving_inputs` by name.
        spec: the sensors.

    Raises:
        ValueError: the observation holds pictures.
    """
    if spec.cameras:
        raise ValueError(
            "a discriminator compares vectors; choose an observation without cameras: the state "
            "vector (state) or lanes and actors (vectors)"
        )
    unknown = sorted(set(inputs) - _SEEN)
    if unknown:
        raise ValueError(
            f"a discriminator does not see {', '.join(unknown)}; choose the state vector (state) "
            "or lanes and actors (vectors) without additions"
        )
    command = functional.one_hot(branch_of(inputs["command"]), N_BRANCHES).float()
    parts = [inputs["speed"].float()[:, None] / SPEED_SCALE, command]
    if spec.state:
        sizes = [*STATE.values(), *([1.0, *ACTOR.values()] * spec.state_actors)]
        parts.append(inputs["state"] / torch.tensor(sizes))
    if spec.vectors is not None:
        lanes = inputs["lanes"] / torch.tensor(list(LANE.values()))
        parts.append((lanes * inputs["lanes_mask"][..., None, None]).flatten(1))
        if spec.vectors.actors:
            actors = inputs["actors"] / torch.tensor(list(ACTOR.values()))
            parts.append((actors * inputs["actors_mask"][..., None]).flatten(1))
    return torch.cat([*parts, torch.zeros(len(command), 1)], 1)


def absorbing_state(n: int) -> Tensor:
    """Returns the absorbing state's features: nothing but its flag, (n,)."""
    state = torch.zeros(n)
    state[-1] = 1.0
    return state


@dataclass(frozen=True)
class Transitions:
    """What a discriminator compares, N of them.

    Attributes:
        state: features before the step, (N, F).
        action: as executed, in `ACTION_SCALE`, (N, 2); 0 in the absorbing state.
        next_state: features after the step, (N, F).
        log_prob: of the action under the present policy, (N,); 0 in the absorbing state.
    """

    state: Tensor
    action: Tensor
    next_state: Tensor
    log_prob: Tensor

    def __len__(self) -> int:
        """N."""
        return len(self.state)

    def take(self, rows: Tensor) -> Transitions:
        """Returns some of them."""
        return Transitions(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def mixed(self, other: Transitions, share: Tensor) -> Transitions:
        """Returns points between these and others, (N,) shares of these."""
        return Transitions(
            *(
                torch.lerp(getattr(other, name), getattr(self, name), _beside(share, name))
                for name in self.__dataclass_fields__
            )
        )


def _beside(share: Tensor, name: str) -> Tensor:
    return share if name == "log_prob" else share[:, None]


def absorbed(steps: Transitions, ends: Bools, n_after: int) -> Transitions:
    """Returns the steps of episodes that go on in the absorbing state.

    Args:
        steps: N real steps.
        ends: which of them lead to the end of an episode, (N,).
        n_after: steps in the absorbing state, of all episodes together.
    """
    over = absorbing_state(steps.state.shape[1])
    is_end = torch.from_numpy(np.asarray(ends))[:, None]
    after = over.expand(n_after, -1)
    return Transitions(
        torch.cat((steps.state, after)),
        torch.cat((steps.action, torch.zeros(n_after, 2))),
        torch.cat((torch.where(is_end, over, steps.next_state), after)),
        torch.cat((steps.log_prob, torch.zeros(n_after))),
    )


Judge = Callable[[Transitions], Tensor]
"""transitions -> logit of "the expert did this", (N,)"""


def gradient_penalty(judge: Judge, points: Transitions) -> Tensor:
    """Returns the mean of (|gradient| - 1)^2 at points between expert and policy.

    Gulrajani et al. (2017), equation 3. The gradient is that of the judge with respect to
    state, action and next state together.

    Args:
        judge: to be kept from being steep.
        points: (N,), see `Transitions.mixed`.
    """
    state, action, next_state = (
        getattr(points, name).detach().requires_grad_(True)
        for name in ("state", "action", "next_state")
    )
    logit = judge(Transitions(state, action, next_state, points.log_prob))
    inputs = (state, action, next_state)
    slopes = torch.autograd.grad(logit.sum(), inputs, create_graph=True, allow_unused=True)
    square = sum(
        (slope**2).sum(1) for slope in slopes if slope is not None
    )  # one that the judge does not look at has no slope
    assert isinstance(square, Tensor), "a judge looks at something"
    return (((square + 1e-12).sqrt() - 1.0) ** 2).mean()


def discriminator_loss(
    judge: Judge, expert: Transitions, policy: Transitions, penalty: float, share: Tensor
) -> Tensor:
    """Returns the cross-entropy of telling expert from policy, and the gradient penalty.

    Args:
        judge: gives logits, D = sigmoid(logit) = probability of the expert.
        expert: (N,).
        policy: (N,).
        penalty: weight of the gradient penalty.
        share: of the expert in the points where the gradient is looked at, (N,) in [0, 1].
    """
    loss = functional.softplus(-judge(expert)).mean() + functional.softplus(judge(policy)).mean()
    if penalty > 0:
        loss = loss + penalty * gradient_penalty(judge, expert.mixed(policy, share))
    return loss


def tanh_layers(n_in: int, hidden: Sequence[int], seed: int) -> nn.Sequential:
    """Returns a network with one output, weights drawn from the seed."""
    generator = torch.Generator().manual_seed(seed)
    layers: list[nn.Module] = []
    for n_out in (*hidden, 1):
        linear = nn.Linear(n_in, n_out)
        nn.init.normal_(linear.weight, std=math.sqrt(1.0 / n_in), generator=generator)
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.Tanh()]
        n_in = n_out
    return nn.Sequential(*layers[:-1])


@dataclass(frozen=True)
class Demonstrations:
    """The expert's labelled steps.

    Attributes:
        inputs: what he saw, by `driving_inputs` (N, ...).
        next_inputs: what he saw after the step.
        executed: his actions, (N, 2).
        steps: the same without log-probabilities, (N,).
        ends: which steps led to the end of a demonstration, (N,).
        n_after: steps in the absorbing state.
        labels: N.
    """

    inputs: dict[str, Tensor]
    next_inputs: dict[str, Tensor]
    executed: Tensor
    steps: Transitions
    ends: Bools
    n_after: int
    labels: int


def demonstrated(
    episodes: Sequence[Episode], spec: ObservationSpec, horizon: int
) -> Demonstrations:
    """Collects the labelled steps of demonstrations.

    Where only some steps of a demonstration are labelled, as many of its absorbed steps count.

    Raises:
        ValueError: no labels, or other sensors.
    """
    frames = labelled_frames(episodes)
    inputs = {name: torch.from_numpy(one) for name, one in observed(frames, spec).items()}
    after: list[dict[str, Any]] = []
    ends: list[Bools] = []
    n_after = 0
    for episode in episodes:
        asked = np.flatnonzero(episode.asked)
        seen = {name: np.asarray(one)[asked + 1] for name, one in episode.observations.items()}
        after.append(observed(seen, spec))
        is_over = episode.outcome in TERMINAL
        ends.append((asked == episode.n_steps - 1) & is_over)
        if is_over:
            missing = max(horizon - episode.n_steps, 0)
            n_after += round(missing * episode.labels / episode.n_steps)
    label = frames["control"]
    executed = torch.from_numpy(actions_of(label).astype(np.float32))
    next_inputs = {
        name: torch.from_numpy(np.concatenate([one[name] for one in after])) for name in inputs
    }
    steps = Transitions(
        features(inputs, spec),
        executed / torch.tensor(ACTION_SCALE),
        features(next_inputs, spec),
        torch.zeros(len(executed)),
    )
    return Demonstrations(
        inputs, next_inputs, executed, steps, np.concatenate(ends), n_after, len(executed)
    )
