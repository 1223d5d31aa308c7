"""One take: a person drives one episode, in real time, through `rollout.drive`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np

from drive_il.datatypes import Bools, Episode, EpisodeSpec, Ints, Outcome, Records, Scene, Who
from drive_il.display.between import between
from drive_il.display.hud import Instruments
from drive_il.display.pages import scrub_bar
from drive_il.display.wayfinding import next_order
from drive_il.evaluation.judge import Judge
from drive_il.evaluation.protocol import Protocol
from drive_il.evaluation.route_result import RouteResult
from drive_il.human.bindings import Action
from drive_il.human.person import Part
from drive_il.protocols import Expert, Gate, Observer, Policy, World
from drive_il.rollout import Step, drive
from drive_il.sitting.cabin import FPS, Cabin, Left
from drive_il.sitting.clock import RealTime
from drive_il.sitting.corrections import Moment, Moments, Resumed, ResumedJudge, joined
from drive_il.sitting.guided import Guide

_ROW = np.zeros(1, np.int64)


class Wish(Enum):
    """What the person wants next."""

    GO_ON = "go on"
    RESTART = "restart"
    LEAVE = "leave"
    TAKE_BACK = "take back"


@dataclass(frozen=True)
class Course:
    """Where and by which rules is driven.

    Attributes:
        world: of one row.
        expert: drives while the gate says so.
        gate: who drives when the person does not; None is the policy.
        policy: None where the expert is the only other driver.
        observer: what is kept of each state, and what the policy sees.
        protocol: of judging.
        can_take_back: the world can be restored.
    """

    world: World
    expert: Expert
    gate: Gate | None
    policy: Policy | None
    observer: Observer
    protocol: Protocol
    can_take_back: bool = True


@dataclass(frozen=True)
class Ended:
    """How a take went.

    Attributes:
        episode: the drive.
        result: of the judge.
        wish: what the person wants next.
        facts: who corrected what, for the file.
    """

    episode: Episode
    result: RouteResult
    wish: Wish
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Picture:
    """What is drawn between two states, and what the instruments say."""

    before: Scene
    after: Scene
    share: float
    seen: Instruments

    @cached_property
    def scene(self) -> Scene:
        """The state drawn; a picture that is left out costs nothing."""
        return between(self.before, self.after, self.share)


class Take:
    """Drives one episode with a person.

    Args:
        cabin: what he sits in.
        course: where.
        recording: whether it is kept, at first.
        guide: says what to do, for a first lap.
        trust: doubt above which the policy is not trusted; None shows no doubt.
    """

    def __init__(
        self,
        cabin: Cabin,
        course: Course,
        recording: bool,
        guide: Guide | None = None,
        trust: float | None = None,
    ) -> None:
        self.cabin, self.course, self.recording = cabin, course, recording
        self._guide, self._trust = guide, trust
        self.weather_wish = 0
        self._judge = Judge(cabin.network, course.protocol, 1)
        self._time = RealTime(course.world.scene.dt, FPS, self._show)
        self._moments = Moments(course.world, course.world.scene.dt)
        self._wish = Wish.GO_ON
        self._before: Scene | None = None
        self._n_told = 0

    def drive(self, spec: EpisodeSpec) -> Ended:
        """Drives from the start of a spec to its end, or until the person has had enough."""
        self.cabin.person.sit_down()
        self._moments.begin()
        episode = self._once(self.course.world, self._judge, spec)
        return Ended(episode, self._judge.result(0), self._wish)

    def take_back(self, ended: Ended) -> Ended:
        """Lets the person choose a moment of the last seconds, and drives on from there.

        Returns:
            How it went; the drive as it was where he leaves it so.
        """
        episode = ended.episode
        moments = [one for one in self._moments.all if one.step <= episode.n_steps]
        chosen = self._choose(episode, moments)
        if chosen is None:
            if episode.outcome != Outcome.ABORTED or not moments:
                return Ended(episode, ended.result, Wish.GO_ON, ended.facts)
            chosen = moments[-1]
        self.cabin.person.sit_down()
        judge = ResumedJudge(self._judge, episode, chosen.step)
        world = Resumed(self.course.world, chosen)
        rest = self._once(world, judge, episode.spec)
        whole = joined(episode, chosen.step, rest)
        back = {"to": chosen.step, "from": episode.n_steps}
        facts = {"taken_back": [*ended.facts.get("taken_back", []), back]}
        return Ended(whole, self._judge.result(0), self._wish, facts)

    def _once(self, world: World, judge: Judge | ResumedJudge, spec: EpisodeSpec) -> Episode:
        self._wish, self._before, self._n_told = Wish.GO_ON, None, 0
        self._time.restart()
        course, got = self.course, list[Episode]()
        drive(
            world,
            course.observer,
            course.policy,
            [spec],
            expert=course.expert if course.gate is not None else None,
            gate=course.gate,
            driver=self,
            judge=judge,
            stop=self._stop,
            listener=self._listen,
            sink=got.append,
        )
        return got[0]

    def act(self, scene: Scene) -> tuple[Records, Bools]:
        """Is the driver: remembers what the person saw, and hears him."""
        if self._before is None:
            self._n_told = len(self._judge.infractions(0))
            self._note(scene)
        self._before = scene.take(_ROW)
        return self.cabin.person.act(scene)

    def _stop(self, scene: Scene) -> Ints:
        over = self._wish is not Wish.GO_ON
        return np.full(scene.n_rows, Outcome.ABORTED if over else Outcome.RUNNING, np.int64)

    def _listen(self, step: Step) -> None:
        if not step.active[0]:
            return  # the world has been cleared already
        now = step.scene.take(_ROW)
        self._note(step.scene)
        self._tell()
        if self._guide is not None and (praise := self._guide.watch(now)):
            self.cabin.say(praise)
        who = int(step.who[0])
        seen = self._instruments(now, who, self._doubt(step))
        before = self._before or now
        self._time.step(lambda share: _Picture(before, now, share, seen))
        self.cabin.screen.title(f"drive_il: {self.cabin.network.name} {int(seen.seconds)} s")

    def _show(self, picture: _Picture, following: _Picture | None) -> None:
        """Shows a picture, and hears the person."""
        begun = None if following is None else following.scene
        self.cabin.draw(picture.scene, picture.seen, begun)
        self.cabin.show()
        try:
            for action in self.cabin.look():
                self._do(action)
        except Left:  # what was driven is an episode all the same
            self._wish = Wish.LEAVE

    def _doubt(self, step: Step) -> float | None:
        """Returns the policy's doubt as a share of where it is trusted no more."""
        if "doubt" not in step.info or not self._trust:
            return None
        return float(step.info["doubt"][0]) / self._trust

    def _note(self, scene: Scene, now: bool = False) -> None:
        if self.course.can_take_back:
            self._moments.note(int(scene.step[0]), now)

    def _tell(self) -> None:
        """Shows what the judge has found since the last step."""
        found = self._judge.infractions(0)
        for one in found[self._n_told :]:
            self.cabin.say(one.message.split(" at (x=")[0], is_bad=True)
        self._n_told = len(found)

    def _do(self, action: Action) -> None:
        person, cabin = self.cabin.person, self.cabin
        if action is Action.RESTART:
            self._wish = Wish.RESTART
        elif action is Action.QUIT:
            self._wish = Wish.LEAVE
        elif action is Action.TAKE_BACK:
            self._ask_back()
        elif action is Action.AUTOPILOT:
            person.switch_autopilot()
            cabin.say(
                "the expert drives; touch a key to take over" if person.autopilot else "you drive"
            )
        elif action is Action.HAND_BACK:
            person.hands_back = True
        elif action is Action.RECORD:
            self.recording = not self.recording
            cabin.say("this drive is kept" if self.recording else "this drive is not kept")
        elif action is Action.WEATHER:
            self.weather_wish += 1
            cabin.say("another weather from the next start on (BACKSPACE)")
        elif action is Action.REVERSE:
            self._shift()

    def _shift(self) -> None:
        """Puts the reverse gear in or out; others than the person have none."""
        person = self.cabin.person
        person.reverse = person.drives and not person.reverse
        if not person.drives:
            self.cabin.say("only you have a reverse gear: take the wheel first", is_bad=True)

    def _ask_back(self) -> None:
        if not self.course.can_take_back:
            self.cabin.say("a CARLA server cannot go back in time; --world embedded can", True)
            return
        self._note(self.course.world.scene, now=True)
        self._wish = Wish.TAKE_BACK

    def _instruments(self, scene: Scene, who: int, doubt: float | None) -> Instruments:
        ego, progress, person = scene.ego[0], scene.progress[0], self.cabin.person
        others = "autopilot" if self.course.policy is None else "policy"
        return Instruments(
            speed_kmh=3.6 * float(ego["speed"]),
            limit_kmh=3.6 * float(progress["speed_limit"]),
            gear="R" if person.reverse else "D",
            throttle=float(ego["throttle"]),
            brake=float(ego["brake"]),
            steer=float(ego["steer"]),
            order=next_order(scene),
            seconds=float(scene.step[0]) * scene.dt,
            way=float(progress["s"]) / max(float(progress["route_length"]), 1.0),
            who="you drive" if who == Who.HUMAN else f"{others} drives",
            by_hand=who == Who.HUMAN,
            recording=self.recording,
            messages=self.cabin.messages,
            doubt=doubt,
            hint=_hint(person.part, who) if self._guide is None else self._guide.text,
        )

    def _choose(self, episode: Episode, moments: list[Moment]) -> Moment | None:
        """Lets the person scrub; None when he leaves the drive as it was."""
        if not moments:
            return None
        world, at, cabin = self.course.world, len(moments) - 1, self.cabin
        cabin.inputs.release_all()
        while True:
            world.restore(moments[at].snapshot, _ROW)
            shown = world.scene.take(_ROW)
            dt = episode.dt
            back = (episode.n_steps - moments[at].step) * dt
            cabin.draw(shown, self._instruments(shown, Who.HUMAN, None))
            scrub_bar(cabin.screen, back, (episode.n_steps - moments[0].step) * dt)
            cabin.show()
            cabin.screen.clock.tick(FPS / 4)
            for action in cabin.look():
                if action is Action.CONFIRM:
                    return moments[at]
                if action is Action.QUIT:
                    return None
            pressed = cabin.inputs.pressed
            at = int(np.clip(at + int(pressed.right) - int(pressed.left), 0, len(moments) - 1))


def _hint(part: Part, who: int) -> str:
    if part is Part.LABELS:
        return "the policy drives: steer and brake as you would; that is what it learns"
    if part is Part.CORRECTS:
        return "F hands the wheel back" if who == Who.HUMAN else "touch a key or the wheel to drive"
    return ""
