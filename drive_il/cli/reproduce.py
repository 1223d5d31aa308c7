"""drive-il reproduce ...: a claim, from data to figure and page."""

from __future__ import annotations

from typing import Annotated

import tyro

from drive_il.experiments import alvinn as alvinn_ablation
from drive_il.experiments import certificates as shipped
from drive_il.experiments import covariate_shift as experiment
from drive_il.experiments import gail as few
from drive_il.experiments import learners as all_learners
from drive_il.experiments import query_efficiency as queries
from drive_il.experiments import regimes as regimes_experiment


def covariate_shift(
    config: Annotated[
        experiment.Config, tyro.conf.arg(name=""), tyro.conf.OmitArgPrefixes
    ] = experiment.Config(),
) -> None:
    """Behaviour cloning falls apart with the horizon, DAgger does not.

    Records an expert, trains ALVINN, behaviour cloning (plain and augmented) and DAgger at
    an equal budget of expert labels, drives them on unseen routes and in an unseen town,
    and sets their cost against the horizon beside the theoretical bounds. Interrupted and
    run again, it goes on where it was; the same seed gives the same numbers.

    Args:
        config: what to do.
    """
    experiment.reproduce(config)


def query_efficiency(
    config: Annotated[queries.Config, tyro.conf.arg(name="")] = queries.Config(),
) -> None:
    """How much success an expert's label buys, by who decides when to ask.

    Trains DAgger, SafeDAgger, HG-DAgger, EnsembleDAgger, LazyDAgger, ThriftyDAgger,
    confidence-based autonomy, DART, Warm-Stagger and behaviour cloning among traffic, every look
    at the expert counted, and sets success on unseen routes and in an unseen town against the
    labels used. Interrupted and run again, it goes on where it was.

    Args:
        config: what to do.
    """
    queries.reproduce(config)


def gail(config: Annotated[few.Config, tyro.conf.arg(name="")] = few.Config()) -> None:
    """With few demonstrations, practice without labels beats cloning (GAIL, AIRL).

    Trains behaviour cloning, DAgger, GAIL and AIRL on 1, 4, 16 and 64 thinned demonstrations on
    empty roads, drives them on unseen routes and in an unseen town, and moves them to another
    car. Interrupted and run again, it goes on where it was.

    Args:
        config: what to do.
    """
    few.reproduce(config)


def alvinn(
    config: Annotated[alvinn_ablation.Config, tyro.conf.arg(name="")] = alvinn_ablation.Config(),
) -> None:
    """Shifted views and a balanced buffer rescue a road follower that learns on the fly.

    Teaches ALVINN (1991) on one country road plain, with shifted views, with the buffer and
    with both, and ALVINN (1989) beside them, at as many labels; drives the half of the
    road that was not taught on. Interrupted and run again, it goes on where it was.

    Args:
        config: what to do.
    """
    alvinn_ablation.reproduce(config)


def learners(
    config: Annotated[all_learners.Config, tyro.conf.arg(name="")] = all_learners.Config(),
) -> None:
    """All learners on the same routes in the same traffic, one table and page.

    Trains everybody who clones (regression, log-loss, mixture, waypoints, previous action, noise
    while demonstrating, CIL, CILRS, PilotNet, ChauffeurNet) and everybody who asks (DAgger and
    its kin) with as many labels, and drives them on unseen routes and in an unseen town: driving
    score, success, infractions per km, eps on the expert's and on their own states, growth of the
    gap, labels, time. Interrupted and run again, it goes on where it was.

    Args:
        config: what to do.
    """
    all_learners.reproduce(config)


def certificates(
    config: Annotated[shipped.Config, tyro.conf.arg(name="")] = shipped.Config(),
) -> None:
    """The certificates of compounding error that come with the project.

    Trains behaviour cloning, DAgger, SafeDAgger and HG-DAgger on the state vector at an equal
    budget of labels, and certifies them, the expert, and the leaderboard's camera policies
    (plain and augmented) on the same drives. Interrupted and run again, it goes on where it was.

    Args:
        config: what to do.
    """
    shipped.reproduce(config)


def regimes(
    config: Annotated[
        regimes_experiment.Config, tyro.conf.arg(name="")
    ] = regimes_experiment.Config(),
) -> None:
    """Three regimes of imitation on a road, and two ways out of compounding errors.

    Cloning, reweighted cloning and DAgger in one designed instance of each regime of Spencer et al.
    (2021); chunks of actions and noisy demonstrations on a stable and an unstable car. Interrupted
    and run again, it goes on where it was.

    Args:
        config: what to do.
    """
    regimes_experiment.reproduce(config)
