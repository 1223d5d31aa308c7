"""What theory promises about the gap J(pi) - J(pi*): one function for each statement.

J is the expected total cost over a horizon of T steps, each step costing between 0 and 1, so
that J is between 0 and T. Bounds are in units of that cost. A bound of T or more is vacuous
(`is_vacuous`), because no policy can cost more than T.

`eps` is a probability per step: how often the learner's action disagrees with the expert's
(0-1 loss, with a stated tolerance for continuous actions). Each function says on whose states
it is measured. It is not a squared or absolute error; those have `lipschitz_bound` and
`exponential_bound`.

Where a paper states only an order of growth, the constant here comes from the short argument in
the docstring, and the docstring says so. Theorems have the numbers of the published papers; where
editions number differently, or a bound combines two papers, the section or the step is named.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from drive_il.datatypes import Bools, Floats


def is_vacuous(bound: npt.ArrayLike, horizon: npt.ArrayLike) -> Bools:
    """Tells where a bound says nothing, because no policy can cost more than T."""
    return np.asarray(np.asarray(bound) >= np.asarray(horizon))


def cloning_bound(eps: npt.ArrayLike, horizon: npt.ArrayLike) -> Floats:
    """Returns T^2 eps, Ross and Bagnell 2010, Theorem 2.1.

    Assumes that eps is the mean 0-1 disagreement over the states that the EXPERT visits in
    T steps, and a cost in [0, 1] per step. Nothing about the learner's own states is
    assumed: one error may put it where it never agrees again. Tight:
    `closed_forms.one_shot_cost`. Vacuous from eps = 1 / T on.

    Args:
        eps: disagreement per step, any shape, in [0, 1].
        horizon: T, broadcast against eps.
    """
    eps, horizon = checked(eps, horizon)
    return np.asarray(eps * horizon**2)


def interactive_bound(eps: npt.ArrayLike, u: npt.ArrayLike, horizon: npt.ArrayLike) -> Floats:
    """Returns u T eps, Ross, Gordon and Bagnell 2011, Theorem 2.2.

    Assumes that eps is the mean 0-1 disagreement over the states that the LEARNER visits in
    T steps, and that one action of the learner's, after which the expert goes on, costs at
    most u more than the expert's own: Q*(s, a) - Q*(s, pi*(s)) <= u at all those states.
    Vacuous from eps = 1 / u on, whatever T is.

    Args:
        eps: disagreement per step, any shape, in [0, 1].
        u: in units of cost, >= 0; a maximum over samples is a lower estimate of it.
        horizon: T.
    """
    eps, horizon = checked(eps, horizon)
    return np.asarray(_not_negative("u", u) * horizon * eps)


def k_step_bound(eps: npt.ArrayLike, k: npt.ArrayLike, horizon: npt.ArrayLike) -> Floats:
    """Returns min(k, T) T eps: `interactive_bound` where the expert is back within k steps.

    Theorem 2.2 of Ross, Gordon and Bagnell 2011 with u <= k. Assumes that from wherever one action
    of the learner's leads, the expert is after at most k steps where it would have been: at
    most k steps cost more, each at most 1. eps as in `interactive_bound`, on the LEARNER's
    states. With k >= T this is T^2 eps, but with another eps than `cloning_bound`. Vacuous
    from eps = 1 / k on.

    Args:
        eps: disagreement per step, any shape, in [0, 1].
        k: steps, >= 0.
        horizon: T.
    """
    eps, horizon = checked(eps, horizon)
    return interactive_bound(eps, np.minimum(_not_negative("k", k), horizon), horizon)


def density_ratio_bound(
    eps: npt.ArrayLike, ratio: npt.ArrayLike, u: npt.ArrayLike, horizon: npt.ArrayLike
) -> Floats:
    """Returns u T min(1, C eps), for Spencer et al. 2021 when the expert covers the learner.

    Assumes that d_learner(s) <= C d_expert(s) for all states, d averaged over the T steps, and
    a recoverability u as in `interactive_bound`; eps is on the EXPERT's states. The disagreement
    on the learner's states is then at most C eps, put into Theorem 2.2 of Ross, Gordon and
    Bagnell 2011 (Spencer et al. have the regimes and the ratio; this line combines the two papers
    and is a theorem of neither). Vacuous from eps = 1 / (u C) on. C is infinite where the
    learner goes and the expert never does: the bound is then u T, vacuous for u >= 1.

    Args:
        eps: disagreement per step on the expert's states, in [0, 1].
        ratio: C, >= 0, may be infinite.
        u: in units of cost, >= 0.
        horizon: T.
    """
    eps, horizon = checked(eps, horizon)
    ratio = _not_negative("the density ratio C", ratio)
    with np.errstate(invalid="ignore"):
        own = np.where(np.isinf(ratio), 1.0, np.minimum(1.0, ratio * eps))
    return interactive_bound(own, u, horizon)


def no_regret_error(
    eps_class: float,
    regret: float,
    beta: npt.ArrayLike,
    horizon: int,
    largest_loss: float = 1.0,
) -> float:
    """Returns the loss some DAgger iterate has on its own states, Ross et al. 2011, Theorem 4.1.

        eps_N + gamma_N + (2 l_max / N) (n_beta + T sum over i > n_beta of beta_i)

    n_beta is the last round with beta_i > 1 / T. The last term is what driving with the
    expert costs: the mixture's states differ from the learner's by at most 2 T beta_i in L1
    (Lemma 4.1). Holds for the best of the iterates, not for the last one, and eps_N is
    the error of the best policy of the class in hindsight on ALL collected states, not the
    last policy's. A loss that bounds the 0-1 disagreement goes into `interactive_bound`
    as its eps. Vacuous at 1.

    Args:
        eps_class: eps_N, smallest mean loss of one policy on the aggregate, >= 0.
        regret: gamma_N, average regret of the rounds' policies, >= 0
            (`follow_the_leader_regret`).
        beta: chance per step that the expert drives, of rounds 1 ... N, (N,).
        horizon: T.
        largest_loss: l_max, in units of the loss.
    """
    beta = np.asarray(beta, np.float64)
    if beta.ndim != 1 or not len(beta) or not ((beta >= 0) & (beta <= 1)).all():
        raise ValueError(f"beta holds one probability per round, in [0, 1], got {beta}")
    above = np.flatnonzero(beta > 1 / horizon)
    n_beta = int(above[-1]) + 1 if len(above) else 0
    mixing = n_beta + horizon * float(beta[n_beta:].sum())
    error = _not_negative("eps_N", eps_class) + _not_negative("the regret", regret)
    return float(error + 2 * largest_loss * mixing / len(beta))


def sampling_error(
    n_rounds: int, per_round: int, failure: float, largest_loss: float = 1.0
) -> float:
    """Returns l_max sqrt(2 log(1 / delta) / (m N)), added by Ross et al. 2011, Theorem 4.2.

    With m sampled rollouts in each of N rounds, eps_N may be the error on the sampled states,
    if this much is added to `no_regret_error`; holds with probability 1 - delta
    (Azuma's inequality). In units of the loss; where it reaches l_max, m N <= 2 log(1 / delta), it
    says nothing.

    Args:
        n_rounds: N.
        per_round: m.
        failure: delta, in (0, 1).
        largest_loss: l_max, in units of the loss.
    """
    if not 0 < failure < 1:
        raise ValueError(f"delta is a probability strictly between 0 and 1, got {failure}")
    return largest_loss * math.sqrt(2 * math.log(1 / failure) / (per_round * n_rounds))


def follow_the_leader_regret(n_rounds: int, lipschitz: float, convexity: float) -> float:
    """Returns G^2 (1 + log N) / (2 alpha N), gamma_N of training on the aggregate.

    DAgger's "train on all data so far" is follow-the-leader. Assumes that each round's
    loss is alpha-strongly convex in the policy's parameters and changes by at most G per unit
    of them; for a network neither is true. With N of the order of T (times logs) the term
    is O(1 / T): Ross et al. 2011, Theorem 3.1; with u T, O(1) in cost: Theorem 3.2.
    (The constant is the textbook one: Kakade and Shalev-Shwartz 2008.) In units of the loss;
    says nothing where it reaches the largest loss.

    Args:
        n_rounds: N >= 1.
        lipschitz: G.
        convexity: alpha > 0.
    """
    if n_rounds < 1 or not convexity > 0:
        raise ValueError(f"needs N >= 1 and alpha > 0, got {n_rounds} and {convexity}")
    return lipschitz**2 * (1 + math.log(n_rounds)) / (2 * convexity * n_rounds)


def best_iterate_bound(error: npt.ArrayLike, u: npt.ArrayLike, horizon: npt.ArrayLike) -> Floats:
    """Returns u T min(1, error): Ross et al. 2011, Theorems 3.2 and 3.4 with their constants.

    Theorem 2.2 with the error that Theorem 4.1 (4.2 for sampled states) promises some iterate. Its
    assumptions are those of `interactive_bound` and `no_regret_error` together. Vacuous from
    an error of 1 / u on.

    Args:
        error: of the best iterate on its own states: `no_regret_error`, plus `sampling_error`
            where eps_N is empirical.
        u: as in `interactive_bound`.
        horizon: T.
    """
    return interactive_bound(np.minimum(1.0, _not_negative("the error", error)), u, horizon)


def tabular_bound(n_states: int, n_demonstrations: int, horizon: int) -> float:
    """Returns min(T, q T (T + 1) / 2) with q = S / (N + 1) (N / (N + 1))^N < S / (e N).

    Rajaraman, Yang, Jiao and Ramchandran 2020, section 4 (lower bounds: section 6): copying
    a deterministic expert with a table per step costs of the order of min(T, S T^2 / N) in
    expectation over N demonstrations, and nothing does better in the worst case, even with an
    expert to ask. The constant follows from the missing mass: the expert's own state is new at
    step t with probability sum rho (1 - rho)^N, at most q, and the first new state costs at
    most T - t + 1. No eps, no policy class, no sharing between steps. Vacuous until N is of the
    order of S T.

    Args:
        n_states: S, states per step.
        n_demonstrations: N >= 1 episodes.
        horizon: T.
    """
    if n_states < 1 or n_demonstrations < 1:
        raise ValueError(
            f"needs at least one state and one demonstration, got S = {n_states} and "
            f"N = {n_demonstrations}"
        )
    n = n_demonstrations
    q = n_states / (n + 1) * (n / (n + 1)) ** n
    return min(float(horizon), q * horizon * (horizon + 1) / 2)


def log_loss_bound(log_loss: npt.ArrayLike, horizon: npt.ArrayLike, spread: float) -> Floats:
    """Returns R (1 - exp(-T L)), what a measured log-loss promises.

    Assumes a deterministic expert; L is the mean of -log pi(expert's action | s) in nats per
    step on the EXPERT's states (held out); R is the range of an episode's total cost: T where
    every step can cost 1, 1 where an episode costs once. The learner agrees all the way with
    probability E exp(-sum of log-losses) >= exp(-T L) (Jensen), and only otherwise can the total
    differ. This is the argument of Foster, Block and Misra 2024 (their Theorem 2.1 has 4 R times
    the squared Hellinger distance between episodes) without their step from the class to L,
    which is `log_loss_sample_bound`. Never above R; no information once T L is a few units:
    with R = T it is below T always, and above T / 2 from L = 0.7 / T on.

    Args:
        log_loss: L, >= 0, may be infinite.
        horizon: T.
        spread: R, in units of cost.
    """
    exponent = _not_negative("a log-loss", log_loss) * np.asarray(horizon, np.float64)
    return np.asarray(-spread * np.expm1(-exponent))


def log_loss_sample_bound(
    log_class_size: float, n_demonstrations: int, failure: float, spread: float
) -> float:
    """Returns R min(1, 2 log(|Pi| / delta) / N): Foster, Block and Misra 2024, Theorem 2.1.

    Assumes a deterministic expert that is IN the finite class Pi, and the policy of
    smallest log-loss on N demonstrated episodes; holds with probability 1 - delta. Nothing
    grows with T but R and, where each step has parameters of its own, log |Pi|: that is how T^2
    comes back. The constant: maximum likelihood has squared Hellinger distance at most
    2 log(|Pi| / delta) / N between episodes (the dynamics cancel), and for a
    deterministic expert the probability of any disagreement is at most that. Vacuous, R, until
    N reaches 2 log(|Pi| / delta).

    Args:
        log_class_size: log |Pi|, natural.
        n_demonstrations: N episodes.
        failure: delta, in (0, 1).
        spread: R, the range of an episode's total cost.
    """
    if not 0 < failure < 1:
        raise ValueError(f"delta is a probability strictly between 0 and 1, got {failure}")
    distance = 2 * (log_class_size + math.log(1 / failure)) / n_demonstrations
    return spread * min(1.0, distance)


def lipschitz_bound(error: npt.ArrayLike, slope: npt.ArrayLike, horizon: npt.ArrayLike) -> Floats:
    """Returns T L_Q E |a - a*|: the bridge from 0-1 loss to continuous actions.

    Assumes that the expert's cost to go Q* changes by at most L_Q per unit of action, at every
    step; the error is the mean distance of the actions on the LEARNER's states. By the
    performance difference lemma (Kakade and Langford 2002, Lemma 6.1) the gap is the sum of
    Q*(s, a) - Q*(s, a*) over the learner's states. On the expert's states the same
    error promises nothing: `exponential_bound`. L_Q is large where a small steer error crosses a
    kerb; the bound is vacuous once L_Q E |a - a*| reaches 1.

    Args:
        error: mean |a - a*|, in units of the action, >= 0.
        slope: L_Q, cost per unit of the action, >= 0.
        horizon: T.
    """
    error = _not_negative("an action error", error)
    return np.asarray(
        np.asarray(horizon, np.float64) * _not_negative("the slope L_Q", slope) * error
    )


def exponential_bound(errors: npt.ArrayLike, growth: float, gain: float = 1.0) -> Floats:
    """Returns how far the learner can be from the expert's states, step by step.

        d_1 = 0,    d_(t+1) = growth d_t + gain errors_t

    Assumes that the loop closed by the LEARNER stretches distances by at most `growth` per
    step and that an action moves the next state by at most `gain` per unit; errors are
    distances of the actions on the EXPERT's states. With growth > 1 it is exponential in T,
    and that is no weakness of the proof: Simchowitz, Pfrommer and Jadbabaie 2025 (their main
    theorem, in their words for smooth learners from expert data alone) show that some
    smooth problem, stable with and without the expert, forces it. So T^2 eps is no bound in
    units of distance. Escapes: chunks of actions, noise in the demonstrations, learners that
    are not smooth. Equality: `closed_forms.LinearSystem`. Vacuous where d exceeds what the cost
    allows.

    Args:
        errors: |a - a*| at steps 1 ... T on the expert's states, (T,).
        growth: Lipschitz constant of x -> f(x, learner(x)), >= 0.
        gain: Lipschitz constant of a -> f(x, a), state per action.

    Returns:
        d_1 ... d_(T+1), (T + 1,), in units of the state.
    """
    errors = _not_negative("an action error", errors)
    _not_negative("growth", growth)
    distance = np.zeros(len(errors) + 1)
    for t, error in enumerate(errors):
        distance[t + 1] = growth * distance[t] + gain * error
    return distance


def checked(eps: npt.ArrayLike, horizon: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Returns eps and T as arrays.

    Raises:
        ValueError: eps outside [0, 1], or a horizon below 1 step.
    """
    eps = np.asarray(eps, np.float64)
    horizon = np.asarray(horizon, np.float64)
    if not ((eps >= 0) & (eps <= 1)).all():
        raise ValueError(f"eps is a probability per step and must be in [0, 1], got {eps}")
    if not (horizon >= 1).all():
        raise ValueError(f"a horizon must be at least 1 step, got {horizon}")
    return eps, horizon


def _not_negative(name: str, value: npt.ArrayLike) -> Floats:
    found = np.asarray(value, np.float64)
    if not (found >= 0).all():
        raise ValueError(f"{name} must not be negative, got {found.min()}")
    return found
