"""Teaching by hand: the policy drives, a person corrects it, between laps it learns.

HG-DAgger with a real person at the gate (Kelly et al. 2019), and DAgger with a person who
says what he would do while the policy drives on (Ross, Gordon, Bagnell 2011).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from drive_il import learners
from drive_il.actors import Traffic
from drive_il.datatypes import Episode, EpisodeSpec, Floats, Observation, Records, Route, State
from drive_il.display.pages import progress_bar
from drive_il.doubt import doubt, seen_at
from drive_il.fit import FitConfig, Progress
from drive_il.human.bindings import Action
from drive_il.human.person import Part
from drive_il.learners.hg_dagger import doubts_at_takeovers, threshold
from drive_il.networks import DrivingPolicy, Ensemble
from drive_il.randomness import derive_seed
from drive_il.rounds import Place, Rounds, RoundsConfig, interventions
from drive_il.sensor_specs import ObservationSpec
from drive_il.sitting.by_hand import keys_by_action, report, title_of
from drive_il.sitting.cabin import Cabin
from drive_il.sitting.demonstrations import Demonstrations
from drive_il.sitting.take import Course, Ended, Take, Wish

Method = Literal["hg-dagger", "dagger"]
PARTS: Mapping[Method, Part] = {"hg-dagger": Part.CORRECTS, "dagger": Part.LABELS}
"""what the person is there for"""
_TRUSTED = 95.0  # [%] of the frames learnt from whose doubt is below the line, where none is known


@dataclass(frozen=True)
class TeachConfig:
    """How a policy is taught."""

    laps: int = 4
    """laps; after each the policy learns"""
    lap_seconds: float = 60.0
    """length of a lap, at most [s]"""
    fit_steps: int = 400
    """gradient steps after each lap"""
    n_validation: int = 6
    """held-back drives that every iterate is validated on"""
    validation_steps: int = 400
    """steps of each"""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"{name} must be positive, got {value}")


@dataclass(frozen=True)
class Doubting:
    """A policy that says its doubt with every control, where it is an ensemble.

    Attributes:
        policy: who drives.
    """

    policy: DrivingPolicy

    @property
    def spec(self) -> ObservationSpec:
        """What it sees."""
        return self.policy.spec

    def initial_state(self, n_rows: int) -> State:
        """Returns the policy's."""
        return self.policy.initial_state(n_rows)

    def act(self, observation: Observation, state: State) -> tuple[Records, State, State]:
        """Returns (control, state, info with `doubt` (B,))."""
        control, state, info = self.policy.act(observation, state)
        if isinstance(self.policy.network, Ensemble):
            info = info | {"doubt": doubt(self.policy, observation)}
        return control, state, info


def trusted_below(policy: DrivingPolicy, data: Sequence[Episode]) -> float | None:
    """Returns the doubt above which a policy is not trusted; None where nobody can say.

    HG-DAgger's threshold where its card has one; else what 95 % of the frames it learnt from
    stay below.
    """
    known = policy.card.get("doubt_threshold")
    if known is not None:
        return float(known)
    frames = [np.flatnonzero(episode.asked) for episode in data]
    if not isinstance(policy.network, Ensemble) or not any(len(one) for one in frames):
        return None
    return float(np.percentile(doubt(policy, seen_at(data, frames)), _TRUSTED))


def teachable(folder: Path) -> DrivingPolicy:
    """Loads a policy that can be taught.

    Raises:
        ValueError: it is no model, or none with pedals.
    """
    policy = learners.load(folder)
    if not isinstance(policy, DrivingPolicy):
        raise ValueError(
            f"{folder} is a model of {policy.card.get('learner')}, which cannot be taught here; "
            "give one of bc or of a DAgger (drive-il train bc, drive-il train hg-dagger)"
        )
    return policy


class Lessons:
    """A policy is taught, lap after lap.

    Args:
        cabin: what the person sits in; his part says by which method.
        course: where; its policy is replaced by the present iterate.
        validation: a world of many rows with observer and expert, and the drives to validate on
            at the end of its specs.
        policy: who is taught.
        data: what it has learnt from.
        config: how.
        seed: of the fits and the laps.
        files: where laps are kept.
    """

    def __init__(
        self,
        cabin: Cabin,
        course: Course,
        validation: Place,
        policy: DrivingPolicy,
        data: Iterable[Episode],
        config: TeachConfig,
        seed: int,
        files: Demonstrations,
    ) -> None:
        self.cabin, self.course, self.config = cabin, course, config
        self.files, self._seed = files, seed
        self._run = Rounds(validation, _rounds(policy, config), seed, self._show)
        self._run.resume(policy, data)
        self._trust = trusted_below(policy, self._run.episodes)
        self._doubts: Floats = np.zeros(0)

    @property
    def policy(self) -> DrivingPolicy:
        """The last iterate."""
        return self._run.policy

    @property
    def n_iterates(self) -> int:
        """How many there are, the policy as it came among them."""
        return len(self._run.iterates)

    def teach(self, routes: Sequence[Route], traffic: Traffic) -> None:
        """Drives and learns, lap after lap, until all are done or the person leaves."""
        for lap in range(self.config.laps):
            ended = self._lap(lap, routes[lap % len(routes)], traffic)
            if ended is not None and not self.cabin.inputs.closed:
                self._learn(lap, ended)
            if ended is None or self._asks(lap, ended) is Action.QUIT:
                return

    def best(self, method: Method, who: str) -> DrivingPolicy:
        """Returns the iterate that validates best, with its card."""
        return self._run.best(
            method.replace("-", "_"),
            self.config,
            doubt_threshold=threshold(self._doubts),
            taught_by=who or "a person",
        )

    def _lap(self, lap: int, route: Route, traffic: Traffic) -> Ended | None:
        """Drives one lap; None when the person left it before anything was said."""
        dt = self.course.world.scene.dt
        steps = round(self.config.lap_seconds / dt)
        while True:
            spec = EpisodeSpec(route, derive_seed(self._seed, "lap", lap), steps, traffic=traffic)
            course = replace(self.course, policy=Doubting(self.policy))
            take = Take(self.cabin, course, recording=True, trust=self._trust)
            ended = take.drive(spec)
            while ended.wish is Wish.TAKE_BACK or self._wants_back(ended):
                ended = take.take_back(ended)
            if ended.wish is Wish.RESTART:
                continue
            if ended.episode.n_steps:
                self.files.keep(
                    ended.episode, {"part": self.cabin.person.part.value, **ended.facts}
                )
            return ended if ended.episode.labels or ended.wish is not Wish.LEAVE else None

    def _wants_back(self, ended: Ended) -> bool:
        if ended.wish is not Wish.GO_ON or not self.course.can_take_back:
            return False
        keys = keys_by_action(self.cabin.bindings)
        lines = report(self.course.protocol, ended.result)
        foot = f"{keys['confirm']} learns from it   {keys['take_back']} takes back and corrects"
        answers = (Action.CONFIRM, Action.TAKE_BACK)
        return self.cabin.page(title_of(ended.result), lines, foot, answers) is Action.TAKE_BACK

    def _learn(self, lap: int, ended: Ended) -> None:
        self._run.take([ended.episode])
        if ended.episode.labels:
            if self._is_ensemble:
                found = doubts_at_takeovers(self.policy, [ended.episode])
                self._doubts = np.concatenate((self._doubts, found))
            self._run.fit(lap + 2)
            self._trust = threshold(self._doubts) or self._trust

    @property
    def _is_ensemble(self) -> bool:
        return isinstance(self.policy.network, Ensemble)

    def _asks(self, lap: int, ended: Ended) -> Action:
        """Shows what the lap has changed."""
        keys = keys_by_action(self.cabin.bindings)
        is_last = lap + 1 == self.config.laps
        foot = f"{keys['confirm']} {'ends' if is_last else 'next lap'}   {keys['quit']} leaves"
        lines = improved(self._run.scores, ended.episode, self._run.labels)
        return self.cabin.page(
            f"Lap {lap + 1} of {self.config.laps}", lines, foot, (Action.CONFIRM, Action.QUIT)
        )

    def _show(self, progress: Progress) -> None:
        """Shows the fit, and keeps the window alive."""
        self.cabin.screen.surface.fill((30, 34, 40))
        progress_bar(
            self.cabin.screen, progress.done / progress.total, f"learning: {progress.stage}"
        )
        self.cabin.show()
        self.cabin.inputs.look()


def _rounds(policy: DrivingPolicy, config: TeachConfig) -> RoundsConfig:
    return RoundsConfig(
        n_rounds=config.laps + 1,
        n_validation=config.n_validation,
        validation_steps=config.validation_steps,
        network=policy.config,
        fit=FitConfig(n_steps=config.fit_steps),
        lost_time=60.0,
    )


def improved(scores: Sequence[float], lap: Episode, labels: int) -> list[str]:
    """Returns what a lap was and what learning from it has changed, a line each.

    Args:
        scores: validation of every iterate, the last two before and after the lap; in [0, 1].
        lap: the drive.
        labels: the person's labels and all before them.
    """
    facts: dict[str, Any] = interventions([lap])
    km = float(lap.progress["s_max"][-1] - lap.progress["s"][0]) / 1000.0
    per_km = f" ({facts['takeovers'] / km:.1f} per km)" if km > 0.05 else ""
    lines = [
        f"You drove {100 * facts['expert_share']:.0f} % of {lap.n_steps * lap.dt:.0f} s; "
        f"takeovers: {facts['takeovers']}{per_km}, {lap.labels} new labels, {labels} in all.",
        "",
    ]
    if not lap.labels:
        return [*lines, "You corrected nothing: there was nothing to learn."]
    before, after = 100 * scores[-2], 100 * scores[-1]
    best = max(range(len(scores)), key=lambda k: (scores[k], k))  # as Rounds.best chooses
    word = "better" if after > before else "worse" if after < before else "as before"
    return [
        *lines,
        f"Held-back drives, share of good steps: {before:.1f} % before, {after:.1f} % now: {word}.",
        f"Best so far: {100 * scores[best]:.1f} % "
        f"({f'after lap {best}' if best else 'as it came'}); the best is what is saved.",
    ]
