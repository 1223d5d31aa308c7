"""drive-il train ...: learners that drive alone, and are told apart from the expert."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from drive_il.adversarial import AdversarialConfig
from drive_il.cli.train import Flat, checkpoint_of, map_of, save, shown
from drive_il.cli.train_interactive import PATIENCE, anywhere
from drive_il.dataset import Dataset
from drive_il.datatypes import Episode
from drive_il.experiments.observations import OBSERVATIONS, Observed
from drive_il.experts.planner import Planner
from drive_il.learners import airl, gail, sqil
from drive_il.rounds import Place
from drive_il.sensors.observer import SceneObserver
from drive_il.sim.world import World
from drive_il.thinning import thinned


def train_gail(
    data: Path,
    out: Path,
    config: Flat[gail.Config] = gail.Config(),
    seed: int = 0,
    observation: Observed = "state",
    every: int = 1,
) -> None:
    """Trains GAIL (Ho, Ermon 2016): a discriminator's reward for driving like the expert.

    The policy drives, by PPO, on the training suite of the map that the data were recorded on,
    in the traffic that they were recorded in, and asks nobody. Killed and run again with the
    same arguments, it goes on after its last checkpoint.

    Args:
        data: demonstrations with the sensors of the observation.
        out: model folder.
        config: how.
        seed: of everything random.
        observation: what the policy sees: the state vector, or lanes and actors.
        every: only every k-th label is used and counted; the paper's k is 20.
    """
    place, episodes, patience = _ready(
        data, config.game, config.game.ppo.n_rows, seed, observation, every
    )
    config = replace(config, game=replace(config.game, lost_time=patience))
    with shown(out) as progress:
        policy = gail.train(place, episodes, config, seed, progress, checkpoint_of(out))
    save(policy, out)


def train_airl(
    data: Path,
    out: Path,
    config: Flat[airl.Config] = airl.Config(),
    seed: int = 0,
    observation: Observed = "state",
    every: int = 1,
) -> None:
    """Trains AIRL (Fu, Luo, Levine 2018): like GAIL, and keeps the reward it has recovered.

    The model folder also holds `reward.safetensors`, a reward of the state alone, from which
    `drive_il.learners.airl.retrain` teaches a policy other cars.

    Args:
        data: demonstrations with the sensors of the observation.
        out: model folder.
        config: how.
        seed: of everything random.
        observation: what the policy sees: the state vector, or lanes and actors.
        every: only every k-th label is used and counted; the paper's k for GAIL is 20.
    """
    place, episodes, patience = _ready(
        data, config.game, config.game.ppo.n_rows, seed, observation, every
    )
    config = replace(config, game=replace(config.game, lost_time=patience))
    with shown(out) as progress:
        policy, reward = airl.learn(place, episodes, config, seed, progress, checkpoint_of(out))
    airl.save_reward(reward, out)
    save(policy, out)


def train_sqil(
    data: Path,
    out: Path,
    config: Flat[sqil.Config] = sqil.Config(),
    seed: int = 0,
    observation: Observed = "state",
    every: int = 1,
) -> None:
    """Trains SQIL (Reddy, Dragan, Levine 2019): demonstrated steps are worth 1, its own 0.

    The policy drives on the training suite of the map that the data were recorded on, and asks
    nobody. Killed and run again with the same arguments, it goes on after its last checkpoint.

    Args:
        data: demonstrations with the sensors of the observation.
        out: model folder.
        config: how.
        seed: of everything random.
        observation: what the policy sees: the state vector, or lanes and actors.
        every: only every k-th label is used and counted.
    """
    place, episodes, patience = _ready(data, config, config.n_rows, seed, observation, every)
    config = replace(config, lost_time=patience)
    with shown(out) as progress:
        policy = sqil.train(place, episodes, config, seed, progress, checkpoint_of(out))
    save(policy, out)


def _ready(
    data: Path,
    config: AdversarialConfig | sqil.Config,
    n_rows: int,
    seed: int,
    observation: str,
    every: int,
) -> tuple[Place, list[Episode], float]:
    """Returns where the policy drives, the demonstrations, and how long it may stand still [s]."""
    dataset = Dataset(data)
    network, traffic = map_of(dataset), dataset.load(0).spec.traffic
    patience = max(config.lost_time, PATIENCE) if traffic.signals else config.lost_time
    n, steps = config.n_validation, max(config.validation_steps, config.horizon)
    place = Place(
        World(network, n_rows),
        SceneObserver(network, OBSERVATIONS[observation]),
        Planner(network=network),
        [replace(spec, traffic=traffic) for spec in anywhere(network, n, steps, seed)],
    )
    return place, thinned(list(dataset.episodes()), every), patience
