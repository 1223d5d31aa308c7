"""AIRL: adversarial inverse reinforcement learning (Fu, Luo, Levine 2018, Algorithm 1).

    for i in 1..N:
        tau_i ~ pi
        D_theta(s, a, s') = exp f / (exp f + pi(a | s)),   f = g(s) + gamma h(s') - h(s)
        theta <- ascend  E_tau_E [log D] + E_tau_i [log(1 - D)]
        pi    <- a policy step with reward log D - log(1 - D) = f - log pi(a | s)
    return pi, g

h absorbs whatever shaping the dynamics suggest (it changes no optimal policy, Ng, Harada and
Russell 1999), so that g of the state alone is a reward that can be carried to other dynamics:
`retrain` learns to drive another car by it, without demonstrations.

Departures: the policy step is PPO's; f is kept flat by a gradient penalty; an episode that fails
goes on in the absorbing state of Kostrikov et al. (2019), in which pi does nothing and log pi
is 0; the policy begins from behaviour cloning. Log-probabilities are bounded, since the expert
is no draw from a normal distribution.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor, nn

from drive_il.adversarial import Adversarial, AdversarialConfig
from drive_il.datatypes import Episode
from drive_il.discriminators import Transitions, n_features, tanh_layers
from drive_il.fit import ProgressFunction
from drive_il.folders import write_whole
from drive_il.networks import DrivingPolicy
from drive_il.randomness import derive_seed
from drive_il.rounds import Place

WEIGHTS, FACTS = "reward.safetensors", "reward.json"
_LEAST_LOG_PROB = -10.0


@dataclass(frozen=True)
class Config:
    """Adversarial inverse reinforcement learning."""

    game: AdversarialConfig = field(default_factory=AdversarialConfig)
    """discriminator, policy and their training"""


class Reward(nn.Module):
    """f = g(s) + gamma h(s') - h(s); g is the recovered reward, h a shaping potential."""

    def __init__(self, n_features: int, hidden: tuple[int, ...], gamma: float, seed: int) -> None:
        super().__init__()
        self.n_features, self.hidden, self.gamma = n_features, hidden, gamma
        self.g = tanh_layers(n_features, hidden, derive_seed(seed, "g"))
        self.h = tanh_layers(n_features, hidden, derive_seed(seed, "h"))

    def of_state(self, steps: Transitions) -> Tensor:
        """Returns g, the reward that can be carried to other dynamics, (N,)."""
        reward: Tensor = self.g(steps.state)[:, 0]
        return reward

    def shaped(self, steps: Transitions) -> Tensor:
        """Returns f, (N,)."""
        here, there = self.h(steps.state)[:, 0], self.h(steps.next_state)[:, 0]
        shaped: Tensor = self.of_state(steps) + self.gamma * there - here
        return shaped

    def forward(self, steps: Transitions) -> Tensor:
        """Returns the logit of D, f - log pi(a | s), (N,); it is the policy's reward too."""
        return self.shaped(steps) - steps.log_prob.clamp_min(_LEAST_LOG_PROB)


def learn(
    place: Place,
    data: Iterable[Episode],
    config: Config,
    seed: int,
    progress: ProgressFunction | None = None,
    checkpoint: Path | None = None,
) -> tuple[DrivingPolicy, Reward]:
    """Runs AIRL.

    Args:
        place: where the policy drives; its world has `ppo.n_rows` rows, its expert is not asked.
        data: demonstrations; their labelled steps are what is imitated.
        config: how.
        seed: of everything random.
        progress: called after every iteration.
        checkpoint: file that an interrupted run goes on from; removed at the end.

    Returns:
        The best policy on validation, and the reward as the last iteration left it.

    Raises:
        ValueError: see `Adversarial`.
    """
    n, game = n_features(place.observer.spec), config.game
    reward = Reward(n, game.hidden, game.ppo.gamma, derive_seed(seed, "discriminator"))
    run = Adversarial(place, data, game, seed, reward, progress, checkpoint)
    for i in run.iterations:
        driven = run.collect(i)
        run.teach(i, driven)
        run.improve(i, driven, reward)
    return run.best("airl", config), reward


def train(
    place: Place,
    data: Iterable[Episode],
    config: Config,
    seed: int,
    progress: ProgressFunction | None = None,
    checkpoint: Path | None = None,
) -> DrivingPolicy:
    """Runs AIRL for its policy alone; see `learn`."""
    return learn(place, data, config, seed, progress, checkpoint)[0]


def retrain(
    place: Place,
    reward: Reward,
    config: Config,
    seed: int,
    begin: DrivingPolicy | None = None,
    progress: ProgressFunction | None = None,
) -> DrivingPolicy:
    """Learns to drive by a recovered reward g(s), without demonstrations, e.g. another car.

    Args:
        place: where.
        reward: of `learn`; not changed.
        config: of the policy's training.
        seed: of everything random.
        begin: a policy of the same network to begin with; from nothing when not given.
        progress: called after every iteration.

    Returns:
        The best policy on validation.
    """
    run = Adversarial(place, None, config.game, seed, reward, progress)
    if begin is not None:
        run.model.actor.load_state_dict(begin.network.state_dict())
    for i in run.iterations:
        run.improve(i, run.collect(i), reward.of_state)
    return run.best("airl", config, reward="recovered")


def save_reward(reward: Reward, folder: Path) -> None:
    """Writes a recovered reward beside the model in its folder."""
    from safetensors.torch import save

    facts = {"n_features": reward.n_features, "hidden": reward.hidden, "gamma": reward.gamma}
    write_whole(folder / WEIGHTS, save(reward.state_dict()))
    write_whole(folder / FACTS, json.dumps(facts, indent=2).encode())


def load_reward(folder: Path) -> Reward:
    """Reads a recovered reward.

    Raises:
        ValueError: the folder holds none, or it is damaged.
    """
    from safetensors.torch import load

    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        reward = Reward(facts["n_features"], tuple(facts["hidden"]), facts["gamma"], 0)
        reward.load_state_dict(load((folder / WEIGHTS).read_bytes()))
    except FileNotFoundError as error:
        raise ValueError(
            f"{folder} holds no recovered reward ({Path(str(error.filename)).name} is missing); "
            "`drive-il train airl` makes one"
        ) from None
    except Exception as error:  # JSON, safetensors and torch each have their own errors
        raise ValueError(f"the reward in {folder} is damaged ({error}); train it again") from error
    return reward.eval()
