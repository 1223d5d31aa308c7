"""Learners that ask: each drives, stays in its budget and pays for every look at the expert."""

import importlib
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from drive_il import learners
from drive_il.datatypes import Episode, Ints, Observation, Who
from drive_il.doubt import SafetyConfig, fit_safety_net
from drive_il.fit import FitConfig, labelled_frames
from drive_il.gates import HumanConfig, action_error
from drive_il.networks import DrivingPolicy, driving_network
from drive_il.rollout import drive
from drive_il.rounds import Rounds, interventions
from tests.ring_drives import ROUNDS, SMALL, SPEC, demonstrations, distance, place

NAMES = (
    "confidence_based",
    "dagger",
    "dart",
    "ensemble_dagger",
    "hg_dagger",
    "lazy_dagger",
    "safe_dagger",
    "stagger",
    "thrifty_dagger",
)
QUICK = FitConfig(n_steps=40, batch_size=32, n_threads=1, device="cpu")
NERVOUS = HumanConfig(lateral_error=0.3, reaction_time=0.1, hold=0.2)
ENSEMBLES = ("hg_dagger", "ensemble_dagger", "thrifty_dagger")


def module_of(name: str) -> ModuleType:
    return importlib.import_module(f"drive_il.learners.{name}")


def config_of(name: str, **changes: Any) -> Any:
    config = module_of(name).Config(**changes)
    members = 2 if name in ENSEMBLES else 1
    rounds = replace(ROUNDS, network=replace(SMALL, members=members))
    more: dict[str, Any] = {}
    if name in ("safe_dagger", "lazy_dagger"):
        more["safety"] = replace(config.safety, fit=QUICK)
    if name == "confidence_based":
        more["decision_fit"] = QUICK
    if name in ("hg_dagger", "confidence_based"):
        more["human"] = NERVOUS
    if name == "stagger":
        more["labels_per_round"] = 40
    if name == "thrifty_dagger":
        more |= {"n_alone": 6, "q_fit": QUICK, "rate": 0.05}
    return replace(config, rounds=rounds, **more)


@pytest.fixture(scope="module")
def untrained() -> float:
    return distance(DrivingPolicy(driving_network(SMALL, SPEC, 5), SMALL, SPEC))


@pytest.mark.parametrize("name", NAMES)
def test_it_drives_a_ring_better_than_an_untrained_policy(
    name: str, untrained: float, tmp_path: Path
) -> None:
    iterates: dict[int, DrivingPolicy] = {}
    config = config_of(name)
    policy = module_of(name).train(place(), demonstrations(), config, 0, sink=iterates.__setitem__)
    assert distance(policy) > 1.5 * untrained > 0
    card = policy.card
    assert card["learner"] == name
    labels = [entry["labels"] for entry in card["rounds"]]
    assert labels[0] == 160
    assert labels == sorted(labels)
    assert labels[-1] == card["labels"] <= ROUNDS.label_budget
    assert list(iterates) == [1, 2, 3]
    assert policy.network is iterates[card["best_round"]].network
    assert card["validation_scores"][card["best_round"] - 1] == max(card["validation_scores"])
    learners.save(policy, tmp_path)
    loaded = learners.load(tmp_path)
    seen = {name: value[:9] for name, value in demonstrations()[0].observations.items()}
    assert loaded.act(seen, {})[0].tobytes() == policy.act(seen, {})[0].tobytes()


def test_the_same_seed_gives_the_same_bits_for_any_number_of_rows() -> None:
    weights = []
    for n_rows in (8, 3):
        policy = module_of("hg_dagger").train(
            place(n_rows), demonstrations(), config_of("hg_dagger"), 1
        )
        state = policy.network.state_dict()
        weights.append([value.numpy().tobytes() for value in state.values()])
    assert weights[0] == weights[1]


def driven(gate: Any, policy: DrivingPolicy, n: int = 4) -> list[Episode]:
    at = place()
    specs = [replace(spec, max_steps=30) for spec in at.specs[:n]]
    return drive(at.world, at.observer, policy, specs, expert=at.expert, gate=gate)


@pytest.fixture(scope="module")
def policy() -> DrivingPolicy:
    return DrivingPolicy(driving_network(SMALL, SPEC, 3), SMALL, SPEC)


class Forecast:
    """A safety net that calls every third step unsafe."""

    def __init__(self) -> None:
        self.n = 0

    def unsafe(self, observation: Observation) -> Ints:
        self.n += 1
        return np.full(len(observation["speed"]), self.n % 3 == 0)


def test_a_safety_net_costs_labels_only_where_the_expert_drives(policy: DrivingPolicy) -> None:
    gate = module_of("safe_dagger").SafetyGate(Forecast())
    for episode in driven(gate, policy):
        assert episode.labels == 10
        assert ((episode.who == Who.EXPERT) == episode.asked).all()


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_tau_leaves_the_wanted_share_unsafe(policy: DrivingPolicy, share: float) -> None:
    held = list(demonstrations())
    frames = labelled_frames(held)
    error = action_error(policy.act(frames, {})[0], frames["control"])
    config = SafetyConfig(unsafe_share=share, fit=QUICK)
    net = fit_safety_net(policy, held, config, 0)
    assert (error > net.tau).mean() == pytest.approx(share, abs=1 / len(error))
    assert fit_safety_net(policy, held, SafetyConfig(tau=0.3, fit=QUICK), 0).tau == 0.3
    with pytest.raises(ValueError, match=r"unsafe_share must be in \[0, 1\), got 1"):
        SafetyConfig(unsafe_share=1.0)


def test_tau_is_fixed_in_round_one() -> None:
    config = config_of("safe_dagger")
    config = replace(config, safety=replace(config.safety, unsafe_share=0.3))
    card = module_of("safe_dagger").train(place(), demonstrations(), config, 0).card
    [tau] = {entry["tau"] for entry in card["rounds"]}
    assert tau != config.safety.tau


def test_oracles_pay_for_their_peeks(policy: DrivingPolicy) -> None:
    for episode in driven(module_of("safe_dagger").OracleGate(0.0025), policy):
        assert episode.asked.all()
        assert (episode.who == Who.EXPERT).sum() > 0


def test_the_lazy_expert_stays_until_the_policy_agrees(policy: DrivingPolicy) -> None:
    lazy = module_of("lazy_dagger").LazyGate
    for episode in driven(lazy(Forecast(), hand_back=0.0), policy):
        # Called at the third step; deviations are never below 0: he stays.
        assert (episode.who[2:] == Who.EXPERT).all()
        assert episode.labels == 28
    for episode in driven(lazy(Forecast(), hand_back=1e9), policy):
        # Everything agrees: one step each, and the step at which he lets go is paid for too.
        assert (episode.who == Who.EXPERT).sum() == 10
        assert episode.labels == 19


def test_stagger_asks_once_in_a_rollout(policy: DrivingPolicy) -> None:
    stagger = module_of("stagger")
    for episode in driven(stagger.AskOnce(30), policy):
        assert (episode.who == Who.POLICY).all()
        [at] = np.flatnonzero(episode.asked)
        assert at == stagger.labelled_step(np.array([episode.spec.seed], np.uint64), 30)[0]
    steps = stagger.labelled_step(np.arange(20_000, dtype=np.uint64), 10)
    # Uniform: each of 10 has 2000 of 20,000; six standard deviations are 255.
    assert np.abs(np.bincount(steps, minlength=10) - 2000).max() < 255


def test_a_round_never_exceeds_its_budget_and_nobody_alone_costs_a_label() -> None:
    run = Rounds(place(), ROUNDS, 0)
    run.demonstrate(demonstrations())
    run.fit(1)
    alone = run.alone(2, 3)
    assert sum(episode.labels for episode in alone) == 0
    assert run.labels == 160
    run.collect(2, module_of("stagger").AskOnce(40))
    assert run.labels <= 160 + (500 - 160) // 2


def test_interventions_are_counted() -> None:
    [one] = demonstrations()[:1]
    who = np.array([0, 0, 1, 1, 1, 0, 1, 0] + [0] * 32, np.uint8)
    found = interventions([replace(one, who=who), one])
    assert found["steps"] == 80
    assert found["takeovers"] == 3  # two, and one from the first step on
    assert found["switches"] == 4
    assert found["expert_share"] == 44 / 80
    assert found["takeover_steps"] == 44 / 3


def test_errors_say_what_to_do() -> None:
    name = "safe_dagger"
    with pytest.raises(ValueError, match="need a demonstration each, got 1"):
        module_of(name).train(place(), demonstrations()[:1], config_of(name), 0)
    with pytest.raises(ValueError, match="held_out must be in"):
        module_of("dart").Config(held_out=1.0)
    with pytest.raises(ValueError, match="hand_back must be in"):
        module_of("lazy_dagger").Config(hand_back=0.0)
    with pytest.raises(ValueError, match="rate must be in"):
        module_of("thrifty_dagger").Config(rate=0.0)
    config = config_of("ensemble_dagger")
    single = replace(config, rounds=replace(config.rounds, network=SMALL))
    with pytest.raises(ValueError, match="set rounds.network.members to 2 or more"):
        module_of("ensemble_dagger").train(place(), demonstrations(), single, 0)
