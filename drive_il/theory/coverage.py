"""How often the intervals hold the truth, on processes where it is known.

Each repetition draws training seeds (learners that err at different rates), lets them and the
expert play the same episodes, forks some of the disagreements, and estimates everything as
an experiment on the road would. A 95 % interval should hold the truth in 95 % of repetitions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from drive_il.datatypes import Floats, Ints
from drive_il.randomness import derive_seed
from drive_il.theory import density, instances, mdps
from drive_il.theory import estimators as est
from drive_il.theory.instances import Instance
from drive_il.theory.intervals import Estimate, mean_with_interval, resamples
from drive_il.theory.recovery import (
    Forks,
    fork_probability,
    gap_identity,
    mean_advantage,
    return_time,
    steps_back,
)

HORIZON = 101
"""steps; costs after t steps are those of the first t + 1 states"""
HORIZONS: Ints = np.array([10, 14, 20, 28, 40, 57, 80, 100])
N_EPISODES = 60
N_FORKS = 100
"""expected per repetition, at most"""
N_DRAWS = 500
"""bootstrap draws"""
HOLD = 5
"""steps that a fork must stay with the expert to be back"""
CHUNK = 50
"""repetitions simulated at once"""
BAND = (0.92, 0.98)
"""where the coverage of the quantities in PROMISED must lie"""
PROMISED = ("eps on expert states", "eps on own states", "J", "gap", "mean u")


@dataclass(frozen=True)
class Case:
    """Learners that a training seed may give, all alike likely, on one process.

    Attributes:
        name: what the table calls it.
        n_seeds: S, training seeds of an experiment.
        pool: the learners; their truth is the average.
        k: steps an error costs when the expert takes over.
        recovery_rate: per step, of the learner itself; None where the renewal model has no one rate
            (errors on the expert's states at one rate, a way back at another).
    """

    name: str
    n_seeds: int
    pool: tuple[Instance, ...]
    k: int
    recovery_rate: float | None = None


def cases() -> list[Case]:
    """Returns what the study ranges over."""
    spread = np.exp(0.3 * np.linspace(-1.9, 1.9, 12))  # a log-normal's middle
    back, lost = (
        tuple(
            instances.recoverable_chain(rate * scale, 5, HORIZON, saw_off_track=saw)
            for scale in spread
        )
        for rate, saw in ((0.02, True), (0.005, False))
    )
    middle = instances.recoverable_chain(0.02, 5, HORIZON)
    rare = instances.recoverable_chain(0.002, 5, HORIZON, saw_off_track=False)
    regime = instances.regime("covered", "reweighted", HORIZON)
    return [
        Case("chain, finds back", 1, (middle,), 5, 1 / 5),
        Case("chain, lost, few fail", 1, (rare,), 5, 0.0),
        Case("regime: covered", 1, (regime,), instances.WAY_BACK),
        Case("chain, finds back", 5, back, 5, 1 / 5),
        Case("chain, lost", 5, lost, 5, 0.0),
    ]


@dataclass(frozen=True)
class Covered:
    """How one quantity fared.

    Attributes:
        case: name of the process and its learner.
        n_seeds: S.
        quantity: what was estimated.
        truth: its exact value; None where it differs between repetitions.
        middle: median of the estimates.
        coverage: share of repetitions whose interval held the truth; for a largest value, which has
            no interval, the share in which it was at least the truth.
        n: repetitions that gave an estimate.
    """

    case: str
    n_seeds: int
    quantity: str
    truth: float | None
    middle: float
    coverage: float
    n: int

    @property
    def kept(self) -> bool | None:
        """Whether the coverage is what was promised; None where nothing was."""
        return BAND[0] <= self.coverage <= BAND[1] if self.quantity in PROMISED else None


Sample = dict[str, tuple[Estimate, float]]
"""estimate and truth by quantity, of one repetition"""


def study(
    n_repetitions: int, seed: int, report: Callable[[str], None] | None = None
) -> list[Covered]:
    """Repeats the experiment of every case and counts how often intervals hold the truth.

    Args:
        n_repetitions: of each case.
        seed: of all of it.
        report: told which case begins.

    Raises:
        ValueError: no repetition.
    """
    if n_repetitions < 1:
        raise ValueError(f"a study needs at least one repetition, got {n_repetitions}")
    found = []
    for number, case in enumerate(cases()):
        if report is not None:
            report(f"{case.name}, {case.n_seeds} seed{'s' if case.n_seeds > 1 else ''}")
        samples = list(_samples(case, n_repetitions, derive_seed(seed, "coverage", number)))
        found += [
            _count(case, quantity, [one[quantity] for one in samples if quantity in one])
            for quantity in dict.fromkeys(name for one in samples for name in one)
        ]
    return found


def _count(case: Case, quantity: str, pairs: list[tuple[Estimate, float]]) -> Covered:
    truths = {truth for _, truth in pairs}
    return Covered(
        case.name,
        case.n_seeds,
        quantity,
        truths.pop() if len(truths) == 1 else None,
        float(np.median([estimate.value for estimate, _ in pairs])),
        float(np.mean([estimate.holds(truth) for estimate, truth in pairs])),
        len(pairs),
    )


def _samples(case: Case, n: int, seed: int) -> Iterator[Sample]:
    truth = _truth(case)
    weights = resamples(case.n_seeds, N_EPISODES, N_DRAWS, derive_seed(seed, "bootstrap"))
    for begin in range(0, n, CHUNK):
        rng = np.random.default_rng(derive_seed(seed, "chunk", begin))
        played = _play(case, min(CHUNK, n - begin), rng)
        for number in range(min(CHUNK, n - begin)):
            yield _estimate(played, number, truth, weights)


@dataclass(frozen=True)
class _Truth:
    exact: dict[str, float]
    gap: Floats  # at HORIZONS


def _truth(case: Case) -> _Truth:
    """What the estimates of a case aim at: averages over its learners."""
    solved = [one.solve() for one in case.pool]
    curves = []
    for one in case.pool:
        expert = mdps.always(mdps.choosing(one.expert, one.mdp.n_actions), HORIZON)
        steps = [
            np.einsum("ts,tsa,sa->t", mdps.occupancy(one.mdp, policy), policy, one.mdp.cost)
            for policy in (one.learner, expert)
        ]
        curves.append(np.cumsum(steps[0] - steps[1])[HORIZONS])
    errors = float(np.mean([one.eps_own for one in solved])) * HORIZON
    gap = float(np.mean([one.gap for one in solved]))
    exact = {
        "eps on expert states": float(np.mean([one.eps_expert for one in solved])),
        "eps on own states": errors / HORIZON,
        "J": float(np.mean([one.cost for one in solved])),
        "gap": gap,
        "mean u": gap / errors,
        "largest u": max(one.u for one in solved),
        "C": solved[0].ratio,
        "uncovered": float(np.mean([one.uncovered for one in solved])),
    }
    return _Truth(exact, np.mean(curves, 0))


@dataclass(frozen=True)
class _Played:
    """Episodes and forks of M repetitions; S seeds, N episodes, F forks in all."""

    case: Case
    own: mdps.Runs  # (M S N, T), repetition after repetition
    expert: mdps.Runs  # (M N, T)
    disagrees: Floats  # share of steps of each own episode, (M, S, N)
    on_expert: Floats  # share of the expert's steps where each learner errs, (M, S, N)
    fork_row: Ints  # which own episode, sorted, (F,)
    forked: mdps.Forked
    probability: Floats  # with which each was chosen, (F,)


def _play(case: Case, n: int, rng: np.random.Generator) -> _Played:
    """Simulates n repetitions; within one, all seeds and the expert share the noise."""
    one, seeds = case.pool[0], case.n_seeds
    process, expert = one.mdp, one.expert
    noise = rng.random((n, 1, N_EPISODES, HORIZON, 2))
    first = rng.choice(process.n_states, (n, 1, N_EPISODES), p=process.start)
    policy = mdps.always(mdps.choosing(expert, process.n_actions), HORIZON)
    truth = mdps.run_on(process, policy, first.reshape(-1), noise.reshape(-1, HORIZON, 2))
    learner = rng.integers(len(case.pool), size=(n, seeds))
    shape = (n, seeds, N_EPISODES)
    state: Ints = np.empty((*shape, HORIZON), np.int64)
    action: Ints = np.empty((*shape, HORIZON), np.int64)
    on_expert = np.empty(shape)
    answers = rng.random((*shape, HORIZON))
    his = truth.state.reshape(n, N_EPISODES, HORIZON)
    for number, member in enumerate(case.pool):
        who = np.nonzero(learner == number)  # (repetition, seed) pairs
        rows = noise[who[0], 0].reshape(-1, HORIZON, 2)
        runs = mdps.run_on(process, member.learner, first[who[0], 0].reshape(-1), rows)
        state[who] = runs.state.reshape(-1, N_EPISODES, HORIZON)
        action[who] = runs.action.reshape(-1, N_EPISODES, HORIZON)
        right = member.learner[0][np.arange(process.n_states), expert]
        on_expert[who] = (answers[who] >= right[his[who[0]]]).mean(-1)
    wrong = action != expert[state]
    chance = np.stack([fork_probability(one, N_FORKS) for one in wrong])
    row, step = np.nonzero((rng.random(wrong.shape) < chance).reshape(-1, HORIZON))
    state, action = state.reshape(-1, HORIZON), action.reshape(-1, HORIZON)
    uniform = rng.random((len(row), HORIZON + 1, 2))
    forked = mdps.forks(process, expert, state[row, step], action[row, step], step, uniform)
    return _Played(
        case,
        mdps.Runs(state, action, process.cost[state, action]),
        truth,
        wrong.mean(-1),
        on_expert,
        row,
        forked,
        chance.reshape(-1, HORIZON)[row, step],
    )


def _estimate(played: _Played, number: int, truth: _Truth, weights: Floats) -> Sample:
    """Estimates everything from one repetition."""
    case, exact = played.case, truth.exact
    n_own = case.n_seeds * N_EPISODES
    mine, his = (
        slice(number * n_own, (number + 1) * n_own),
        slice(number * N_EPISODES, (number + 1) * N_EPISODES),
    )
    own = played.own.cost[mine].reshape(case.n_seeds, N_EPISODES, HORIZON)
    expert = played.expert.cost[his]
    gap = own.sum(2) - expert.sum(1)
    share = (0.0, 1.0)
    top = (0.0, float(HORIZON))
    found = {
        "eps on expert states": mean_with_interval(played.on_expert[number], weights, share),
        "eps on own states": mean_with_interval(played.disagrees[number], weights, share),
        "J": mean_with_interval(own.sum(2), weights, top),
        "gap": mean_with_interval(gap, weights, top),
    }
    sample = {name: (estimate, exact[name]) for name, estimate in found.items()}
    sample |= _of_forks(played, number, gap, truth, weights)
    sample |= _of_density(played, mine, his, exact, weights)
    sample |= _of_growth(own, expert, truth, weights, case)
    return sample


def _of_forks(played: _Played, number: int, gap: Floats, truth: _Truth, weights: Floats) -> Sample:
    n_own = gap.size
    ends = np.searchsorted(played.fork_row, [number * n_own, (number + 1) * n_own])
    at = slice(*ends)
    extra = played.forked.extra[at]
    if len(extra) == 0:
        return {}
    forks = Forks(
        extra,
        played.fork_row[at] - number * n_own,
        played.probability[at],
        (gap.shape[0], gap.shape[1]),
    )
    inside = played.forked.state[at] == played.forked.truth[at]
    back = return_time(steps_back(inside, HOLD, played.forked.n_steps[at]), number, N_DRAWS)
    largest = float(extra.max())
    return {
        "mean u": (mean_advantage(forks, weights), truth.exact["mean u"]),
        "gap identity (difference)": (gap_identity(gap, forks, weights).difference, 0.0),
        "largest u": (Estimate(largest, 0.0, largest), truth.exact["largest u"]),
        "k, median": (Estimate(back.median, back.low, back.high), float(played.case.k)),
        "k, longest": (Estimate(back.longest, 0.0, back.longest), float(played.case.k)),
    }


def _of_density(
    played: _Played, mine: slice, his: slice, exact: dict[str, float], weights: Floats
) -> Sample:
    n_states = played.case.pool[0].mdp.n_states
    own = density.shares(played.own.state[mine], n_states)
    expert = density.shares(played.expert.state[his], n_states)
    found = density.density_ratio(
        own.reshape(played.case.n_seeds, N_EPISODES, n_states), expert, weights
    )
    sample = {"uncovered": (found.uncovered, exact["uncovered"])}
    if np.isfinite(exact["C"]):
        sample["C"] = (found.ratio, exact["C"])
    return sample


def _of_growth(own: Floats, expert: Floats, truth: _Truth, weights: Floats, case: Case) -> Sample:
    costs = np.cumsum(own, 2)[:, :, HORIZONS]
    theirs = np.cumsum(expert, 1)[:, HORIZONS]
    sample: Sample = {}
    slope = est.growth_exponent(costs, theirs, HORIZONS, weights)
    if slope.value is not None and slope.low is not None and slope.high is not None:
        used = slope.used
        known = np.polyfit(np.log(HORIZONS[used]), np.log(truth.gap[used]), 1)[0]
        sample["exponent"] = (Estimate(slope.value, slope.low, slope.high), float(known))
    fit = est.renewal(costs, theirs, HORIZONS, weights)
    if fit is not None and case.recovery_rate is not None:
        sample["renewal, error rate"] = (fit.error_rate, truth.exact["eps on expert states"])
        sample["renewal, recovery rate"] = (fit.recovery_rate, case.recovery_rate)
    return sample
