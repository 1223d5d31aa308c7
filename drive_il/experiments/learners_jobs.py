"""The work behind the comparison of all learners, one function per kind of job.

Each writes one folder from the folders of the jobs it needs, on one thread, and is a
function of its arguments alone.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from drive_il import learners
from drive_il.cloning import CloningConfig
from drive_il.datatypes import Bools, Episode, EpisodeSpec, Floats, Outcome
from drive_il.disturbances import TriangularNoise
from drive_il.evaluation.criteria import route_ended
from drive_il.evaluation.evaluator import EvaluationConfig
from drive_il.evaluation.infractions import COLLISIONS, Kind
from drive_il.evaluation.judge import Judge
from drive_il.evaluation.protocol import Protocol
from drive_il.evaluation.route_result import Ending, RouteResult
from drive_il.evaluation.scoring import route_scores
from drive_il.experiments.drives import Keeper, each, read, within, write, write_json
from drive_il.experiments.jobs import Report
from drive_il.experiments.learners_table import LEARNERS, Entry
from drive_il.experiments.observations import spec_of
from drive_il.experiments.practice import (
    PATIENCE,
    ROWS,
    STEER_WEIGHT,
    anywhere,
    fit_config,
    place,
    rounds_of,
    test_specs,
    traffic,
)
from drive_il.experts.planner import Planner
from drive_il.gates import AskAlways, ExpertDrives
from drive_il.maps import library
from drive_il.maps.network import RoadNetwork
from drive_il.protocols import Expert
from drive_il.rollout import drive, scene_of, without_actors
from drive_il.rounds import failing
from drive_il.sensor_specs import ObservationSpec
from drive_il.sensors.camera import Camera
from drive_il.sensors.observer import SceneObserver
from drive_il.sim.world import World
from drive_il.theory import costs
from drive_il.thinning import around_labels, first_labels, thin

DEMONSTRATION_STEPS = 200
"""length of one demonstration; waypoints and bent paths look two seconds ahead"""
LAST_ROUND = 0.5
"""share of the gradient steps that the last round takes, on all that was gathered"""
HORIZONS = (50, 100, 200, 400, 800)
"""T at which costs are compared [steps]"""
LOOK_EVERY = 5
"""every so manyth state of the expert is shown to a learner"""
DELTA = 0.05
"""steer errors above it are disagreements"""
_CHARGED = (*COLLISIONS, Kind.RED_LIGHT, Kind.STOP_SIGN, Kind.OUTSIDE_LANES)
RULES: Protocol = EvaluationConfig(
    blocked_after=PATIENCE, time_per_metre=0.6, extra_time=45.0
).rules
"""leaderboard 1.0's prices; a drive ends after standing for a minute, or when its time is up"""


def demonstrations(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    town: str,
    labels: int,
    every: int,
    share: float,
    observation: str,
    noise: bool,
    seed: int,
) -> None:
    """Records the expert, at most `labels` labels, with all that any learner may see."""
    network, around = library.load(town), traffic(town, share)
    steps, keep = labels * every, Keeper(folder)
    n = math.ceil(1.5 * steps / DEMONSTRATION_STEPS) + 4
    drive(
        World(network, ROWS),
        SceneObserver(network, spec_of(observation, True, True, True)),
        None,
        anywhere(town, n, DEMONSTRATION_STEPS, around, seed),
        expert=Planner(network=network),
        gate=ExpertDrives(),
        stop=route_ended(blocked_after=math.inf),
        disturbance=TriangularNoise() if noise else None,
        label_budget=steps,
        listener=lambda step: report(step.n_finished / step.n_specs, ""),
        sink=lambda episode: keep(thin(episode, every, keep.n_kept)),
    )


def changed(config: Any, changes: Mapping[str, Any]) -> Any:
    """Returns a config with some fields, by dotted path, replaced."""
    for path, value in changes.items():
        name, _, rest = path.partition(".")
        new = changed(getattr(config, name), {rest: value}) if rest else value
        config = replace(config, **{name: new})
    return config


def _seen(entry: Entry, observation: str, shown: Mapping[str, bool]) -> ObservationSpec:
    told = shown["target_point"] or entry.target_point
    return spec_of(observation, told, entry.previous_action, shown["standing"])


def _cloning(config: Any, budget: Mapping[str, Any]) -> Any:
    """Returns a learner's config with the fit, the steer weight and the setting off of all."""
    if isinstance(config, CloningConfig):
        network = replace(config.network, set_off=budget["set_off"])
        fit = fit_config(budget["gradient_steps"])
        return replace(config, fit=fit, steer_weight=STEER_WEIGHT, network=network)
    return replace(config, cloning=_cloning(config.cloning, budget))


def _config(entry: Entry) -> tuple[Any, Any]:
    """Returns the module of a learner and its Config."""
    module = importlib.import_module(f"drive_il.learners.{entry.module}")
    return module, changed(module.Config(), entry.changes)


def clone(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    town: str,
    learner: str,
    budget: dict[str, Any],
    observation: str,
    shown: dict[str, bool],
    share: float,
    seed: int,
) -> None:
    """Trains a learner that only looks at demonstrations.

    Args:
        folder: takes `model`.
        inputs: the demonstrations.
        report: is told how it goes.
        town: where they were recorded.
        learner: name in `LEARNERS`.
        budget: `labels`, `warm` of them demonstrations of who asks for the rest, one of `every`
            so many that is kept, more of the `before_failure` steps before a failure, `n_rounds` of
            drives of `episode_steps`, `gradient_steps` in all, `n_validation` drives of each
            iterate, `set_off` of the networks, `unsafe_share` of safety nets.
        observation: what is seen.
        shown: what all see, by those also who would not: `target_point`, and `standing` (for how
            long it has stood, and whether at its stop sign).
        share: of normal traffic.
        seed: of everything random.
    """
    entry = LEARNERS[learner]
    module, config = _config(entry)
    config = _cloning(config, budget)
    spec, [source] = _seen(entry, observation, shown), inputs.values()
    renderer = Camera(library.load(town), spec.cameras[0]).render if spec.cameras else None
    moves = getattr(config, "cloning", config).moves
    others = around_labels if moves else without_actors
    policy = module.train(
        within(list(map(others, each(source))), budget["labels"]),
        config,
        seed,
        renderer,
        lambda at: report(at.share, at.stage),
        spec,
    )
    learners.save(policy, folder / "model")


def beside(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    town: str,
    learner: str,
    budget: dict[str, Any],
    observation: str,
    shown: dict[str, bool],
    share: float,
    seed: int,
) -> None:
    """Trains a learner that sees poses beside the path too; the arguments of `clone`."""
    entry = LEARNERS[learner]
    module, config = _config(entry)
    config = _cloning(config, budget)
    [source] = inputs.values()
    policy = module.train(
        within(read(source), budget["labels"]),
        config,
        seed,
        SceneObserver(library.load(town), _seen(entry, observation, shown)),
        lambda at: report(at.share, at.stage),
    )
    learners.save(policy, folder / "model")


def in_rounds(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    town: str,
    learner: str,
    budget: dict[str, Any],
    observation: str,
    shown: dict[str, bool],
    share: float,
    seed: int,
) -> None:
    """Trains a learner that drives while it learns; the arguments of `clone`."""
    entry = LEARNERS[learner]
    module, config = _config(entry)
    same = ("n_rounds", "every", "before_failure", "n_validation")
    values = {name: budget[name] for name in same}
    values |= {"steps_per_episode": budget["episode_steps"]}
    early = max(1, round((1 - LAST_ROUND) * budget["gradient_steps"] / (budget["n_rounds"] - 1)))
    last = max(1, budget["gradient_steps"] - early * (budget["n_rounds"] - 1))
    values |= {"label_budget": budget["labels"], "gradient_steps": early, "last_steps": last}
    config = replace(config, rounds=rounds_of(config.rounds, values, budget["set_off"]))
    if hasattr(config, "safety"):
        safety = replace(config.safety, unsafe_share=budget["unsafe_share"])
        config = replace(config, safety=safety)
    if any(item.name == "labels_per_round" for item in fields(config)):
        per_round = (budget["labels"] - budget["warm"]) // (budget["n_rounds"] - 1)
        config = replace(config, labels_per_round=max(1, per_round // 10))
    n, steps = config.rounds.n_validation, config.rounds.steps_per_episode
    world, around = World(library.load(town), ROWS), traffic(town, share)
    here = place(world, _seen(entry, observation, shown), around, n, "rounds", seed, steps)
    [source] = inputs.values()
    data = first_labels(map(without_actors, each(source)), budget["warm"])
    policy = module.train(here, data, config, seed, lambda at: report(at.share, at.stage))
    learners.save(policy, folder / "model")


def practise(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    town: str,
    learner: str,
    budget: dict[str, Any],
    observation: str,
    shown: dict[str, bool],
    share: float,
    seed: int,
) -> None:
    """Trains a learner that drives without labels; the arguments of `clone`.

    It has as many demonstrations as those who only look at them, and practises besides.
    """
    entry = LEARNERS[learner]
    module, config = _config(entry)
    if hasattr(config, "game"):
        game = replace(
            config.game,
            warm_steps=budget["gradient_steps"],
            warm_steer_weight=STEER_WEIGHT,
            lost_time=PATIENCE,
            n_validation=budget["n_validation"],
        )
        config, n_rows = replace(config, game=game), game.ppo.n_rows
    else:
        config = replace(config, lost_time=PATIENCE, n_validation=budget["n_validation"])
        n_rows = config.n_rows
    n = budget["n_validation"]
    world, around = World(library.load(town), n_rows), traffic(town, share)
    here = place(world, _seen(entry, observation, shown), around, n, "practice", seed)
    [source] = inputs.values()
    data = within(read(source), budget["labels"])
    policy = module.train(here, data, config, seed, lambda at: report(at.share, at.stage))
    learners.save(policy, folder / "model")


def expert_drives(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    town: str,
    n: int,
    share: float,
    seed: int,
) -> None:
    """Drives the test with the expert, judged; the drives are kept."""
    network, specs = library.load(town), _specs(town, n, share, seed)
    episodes, results = _judged(network, specs, report, None, None, Planner(network=network))
    write(folder / "drives", episodes)
    told = [_told(one, results[one.spec.seed]) for one in episodes]
    write_json(folder / "test.json", {"drives": told, "costs": _costs(episodes, episodes)})


def _specs(town: str, n: int, share: float, seed: int) -> list[EpisodeSpec]:
    return test_specs(town, n, traffic(town, share), seed)


def test(
    folder: Path,
    inputs: dict[str, Path],
    report: Report,
    town: str,
    seed: int,
) -> None:
    """Drives the test with a learner, judged; its own states are labelled, and the expert's shown.

    These labels measure; no learner learns from them.
    """
    network, truth = library.load(town), read(_input(inputs, "expert") / "drives")
    policy = learners.load(_input(inputs, "model") / "model")
    observer, expert = SceneObserver(network, policy.spec), Planner(network=network)
    specs = [episode.spec for episode in truth]
    episodes, results = _judged(network, specs, report, policy, observer, expert)
    told = []
    for episode, theirs in zip(episodes, truth, strict=True):
        own = episode.policy_control["steer"] - episode.expert_control["steer"]
        steps = np.arange(0, theirs.n_steps, LOOK_EVERY)
        seen = observer.observe(scene_of(theirs).take(steps), np.arange(len(steps)))
        control, _, _ = policy.act(seen, policy.initial_state(len(steps)))
        at_expert = control["steer"] - theirs.control["steer"][steps]
        told.append(
            _told(episode, results[episode.spec.seed])
            | {f"own_{name}": value for name, value in _errors(own).items()}
            | {f"expert_{name}": value for name, value in _errors(at_expert).items()}
        )
    write_json(folder / "test.json", {"drives": told, "costs": _costs(episodes, truth)})


def _judged(
    network: RoadNetwork,
    specs: Sequence[EpisodeSpec],
    report: Report,
    policy: Any,
    observer: SceneObserver | None,
    expert: Expert,
) -> tuple[list[Episode], dict[int, RouteResult]]:
    """Drives specs under RULES; the expert drives where there is no policy, and labels else."""
    results: dict[int, RouteResult] = {}

    def keep(spec: EpisodeSpec, result: RouteResult) -> None:
        results[spec.seed] = result

    episodes = drive(
        World(network, ROWS),
        observer,
        policy,
        specs,
        expert=expert,
        gate=ExpertDrives() if policy is None else AskAlways(),
        judge=Judge(network, RULES, ROWS, on_result=keep),
        keep_observations=False,
        keep_actors=policy is None,
        listener=lambda step: report(step.n_finished / step.n_specs, ""),
    )
    return episodes, results


def _told(episode: Episode, result: RouteResult) -> dict[str, Any]:
    """Returns what a judged drive counts for."""
    charged = [one for one in result.infractions if one.kind in _CHARGED]
    completed = result.ending == Ending.COMPLETED
    return {
        "route": result.route,
        "ending": result.ending.name.lower(),
        "driving_score": route_scores(RULES, result).composed,
        "completion": result.completion,
        "success": completed and not charged,
        "infractions": len(charged),
        "kinds": [str(one.kind) for one in charged],
        "km": result.length * result.completion / 1e5,
        "steps": episode.n_steps,
    }


def _errors(difference: Floats) -> dict[str, float]:
    """Returns the share of disagreements and the mean size of steer errors of one drive."""
    size = np.abs(difference[np.isfinite(difference)])
    if not len(size):
        return {"eps": 0.0, "steer": 0.0}
    return {"eps": float((size > DELTA).mean()), "steer": float(size.mean())}


def _costs(episodes: Sequence[Episode], truth: Sequence[Episode]) -> list[list[float]]:
    """Returns the absorbing cost of each drive at each of HORIZONS, (N, H).

    A step fails off the lane, at a contact, at a red light or stop sign run, after a drive
    that ended before its route did, and too far behind the expert (`theory.costs`).
    """
    last = HORIZONS[-1]
    behind = costs.failures(costs.tracks(episodes, last), costs.tracks(truth, last)).behind
    bad = np.stack([_failing(episode, last) for episode in episodes]) | behind
    whole: list[list[float]] = costs.absorbing(bad)[:, np.array(HORIZONS) - 1].tolist()
    return whole


def _failing(episode: Episode, horizon: int) -> Bools:
    ended_badly = episode.outcome != Outcome.COMPLETED
    found = np.full(horizon, ended_badly)
    n_steps = min(episode.n_steps, horizon)
    found[:n_steps] = failing(episode)[1 : n_steps + 1]
    return found


def _input(inputs: dict[str, Path], kind: str) -> Path:
    [folder] = [path for name, path in inputs.items() if name.startswith(kind + "/")]
    return folder
