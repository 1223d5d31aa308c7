"""Driving by hand, one route after the other, until the person gets up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from drive_il import weathers
from drive_il.actors import Traffic
from drive_il.datatypes import EpisodeSpec, Route
from drive_il.evaluation.protocol import Protocol
from drive_il.evaluation.route_result import Ending, RouteResult
from drive_il.evaluation.scoring import route_scores
from drive_il.folders import data_folder
from drive_il.human.bindings import Action, Bindings
from drive_il.randomness import derive_seed
from drive_il.rollout import scene_of
from drive_il.sitting.cabin import Cabin
from drive_il.sitting.demonstrations import Demonstrations
from drive_il.sitting.guided import Guide, remember
from drive_il.sitting.take import Course, Ended, Take, Wish

LONG = 800.0
"""a route that is worth a drive of its own [m]"""
_LISTED = 8  # infractions on the page at the end
_GUIDED = 280.0  # [m] length of the guided lap, about
_NO_TRAFFIC = Traffic()
_ANSWERS = (
    Action.CONFIRM,
    Action.RESTART,
    Action.DISCARD,
    Action.TAKE_BACK,
    Action.QUIT,
)


@dataclass(frozen=True)
class Plan:
    """What is driven in a sitting.

    Attributes:
        routes: one after the other, from `first` on and then from the start again.
        first: index of the first one.
        traffic: what else is on the road.
        weather: preset of the first drive; None keeps each route's own.
        seed: of what the others do.
        record: folder of the episodes; None records only when asked to, into the user's folder.
        who: the person, as the files call him.
    """

    routes: Sequence[Route]
    first: int = 0
    traffic: Traffic = _NO_TRAFFIC
    weather: str | None = None
    seed: int = 0
    record: Path | None = None
    who: str = ""


def default_folder() -> Path:
    """Where drives are kept that were asked for with the key alone."""
    return data_folder() / "drives"


def long_first(routes: Sequence[Route]) -> list[Route]:
    """Returns routes of more than 800 m before the others, each in their order."""
    return sorted(routes, key=lambda one: one.length < LONG)


def keys_by_action(bindings: Bindings) -> dict[str, str]:
    """Returns the first key of each action, for texts."""
    return {
        action.value: (names[0].upper() if names else "-")
        for action, names in bindings.keys.items()
    }


class Sitting:
    """A person drives.

    Args:
        cabin: what he sits in.
        course: where.
        plan: what.
    """

    def __init__(self, cabin: Cabin, course: Course, plan: Plan) -> None:
        self.cabin, self.course, self.plan = cabin, course, plan
        self.kept: list[Path] = []
        self._recording = plan.record is not None
        self._weather = plan.weather
        folder = plan.record or default_folder()
        self._files = Demonstrations(folder, plan.seed, plan.who, cabin.device_name)
        self._takes = 0

    def guided_lap(self) -> None:
        """Drives a short route alone, with a guide; it is not kept."""
        route = min(self.plan.routes, key=lambda one: abs(one.length - _GUIDED))
        guide = Guide(keys_by_action(self.cabin.bindings))
        take = Take(self.cabin, self.course, recording=False, guide=guide)
        ended = take.drive(EpisodeSpec(route, self.plan.seed, self._horizon(route)))
        remember()
        if ended.wish is not Wish.LEAVE or guide.is_over:
            self.cabin.page(
                "That was the guided lap",
                [
                    "Every drive from now on is judged like one of the leaderboard's: collisions, "
                    "red lights, stop signs and leaving your lane cost points."
                ],
                "RETURN goes on",
                (Action.CONFIRM, Action.QUIT),
            )

    def drive(self) -> None:
        """Drives until the person leaves."""
        number = self.plan.first
        while True:
            wish = self._one(self.plan.routes[number % len(self.plan.routes)])
            if wish is Wish.LEAVE:
                return
            if wish is not Wish.RESTART:
                number += 1

    def _one(self, route: Route) -> Wish:
        """Drives one route, once, with what is taken back."""
        take = Take(self.cabin, self.course, self._recording)
        ended = take.drive(self._spec(route))
        while True:
            self._recording = take.recording
            self._turn_weather(take)
            self._keep(ended)
            if ended.wish is Wish.RESTART:
                return ended.wish
            answer = Action.TAKE_BACK
            if ended.wish is not Wish.TAKE_BACK:
                answer = self._end_page(ended)
            if answer is not Action.TAKE_BACK:
                return self._after(ended, answer)
            ended = take.take_back(ended)

    def _after(self, ended: Ended, answer: Action) -> Wish:
        if answer is Action.DISCARD:
            self._discard(ended)
        if answer is Action.RESTART:
            return Wish.RESTART
        return Wish.LEAVE if answer is Action.QUIT else Wish.GO_ON

    def _spec(self, route: Route) -> EpisodeSpec:
        """Returns the next drive of a route that has not been kept yet."""
        if self._weather is not None:
            weather = weathers.preset(self._weather)
            route = replace(route, weathers=weather, weather_at=np.zeros(1))
        while True:
            seed = derive_seed(self.plan.seed, "take", route.id, self._takes)
            spec = EpisodeSpec(route, seed, self._horizon(route), traffic=self.plan.traffic)
            self._takes += 1
            if not self._files.has(spec):
                return spec

    def _horizon(self, route: Route) -> int:
        return self.course.protocol.steps_allowed(route, self.course.world.scene.dt)

    def _keep(self, ended: Ended) -> None:
        if self._recording and ended.episode.n_steps:
            facts = {"part": self.cabin.person.part.value, **ended.facts}
            path = self._files.keep(ended.episode, facts)
            if path not in self.kept:
                self.kept.append(path)

    def _discard(self, ended: Ended) -> None:
        if self._files.discard(ended.episode.spec):
            self.kept = [one for one in self.kept if one.exists()]
            self.cabin.say("thrown away")

    def _turn_weather(self, take: Take) -> None:
        if take.weather_wish:
            names = list(weathers.PRESETS)
            at = names.index(self._weather) if self._weather else -1
            self._weather = names[(at + take.weather_wish) % len(names)]
            take.weather_wish = 0

    def _end_page(self, ended: Ended) -> Action:
        last = scene_of(ended.episode).take(np.array([ended.episode.n_steps]))
        keys = keys_by_action(self.cabin.bindings)
        foot = f"{keys['confirm']} next route   {keys['restart']} again   "
        if self._recording:
            foot += f"{keys['discard']} throws it away   "
        if self.course.can_take_back:
            foot += f"{keys['take_back']} takes back   "
        foot += f"{keys['quit']} leaves"
        lines = report(self.course.protocol, ended.result)
        if self._recording:
            lines += ["", f"kept in {self._files.folder}"]
        return self.cabin.page(title_of(ended.result), lines, foot, _ANSWERS, last)


def title_of(result: RouteResult) -> str:
    """Returns how a drive ended, for people."""
    if result.ending is Ending.SIMULATION_CRASHED:  # what the judge calls a drive that was left
        return "You left the drive"
    if result.ending is Ending.TIMED_OUT:
        return "The time is up"
    return result.ending.value.replace("Agent", "You") or "Route completed"


def report(protocol: Protocol, result: RouteResult) -> list[str]:
    """Returns how a drive went, a line each."""
    scores = route_scores(protocol, result)
    lines = [
        f"Driving score {scores.composed:.1f} = route {scores.route:.1f} % x penalty "
        f"{scores.penalty:.2f}   ({protocol.id})",
        f"Route {result.route} in {result.town}, {result.length:.0f} m in {result.duration:.0f} s",
        "",
    ]
    shown = [one.message.split(" at (x=")[0] for one in result.infractions]
    lines += [
        f"{one.time:5.1f} s  {text}"
        for one, text in zip(result.infractions[:_LISTED], shown, strict=False)
    ]
    if len(shown) > _LISTED:
        lines.append(f"... and {len(shown) - _LISTED} more")
    return lines if shown else [*lines, "No infraction."]
