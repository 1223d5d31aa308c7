"""One person's sitting in a study: consent, then every condition in his own order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from drive_il.actors import Traffic
from drive_il.datatypes import EpisodeSpec, Route
from drive_il.evaluation.scoring import route_scores
from drive_il.human.bindings import Action
from drive_il.human.person import Part
from drive_il.randomness import derive_seed
from drive_il.sitting.by_hand import keys_by_action
from drive_il.sitting.cabin import Cabin
from drive_il.sitting.demonstrations import Demonstrations
from drive_il.sitting.study import Condition, Sitter, StudyFolder
from drive_il.sitting.take import Course, Take, Wish

CourseOf = Callable[[Condition], Course]
"""condition -> where and with whom it is driven"""


def agrees(cabin: Cabin, folder: StudyFolder) -> bool:
    """Shows the consent text; returns whether the person agrees to it."""
    lines = [line.strip() for line in folder.consent.split("\n")]
    paragraphs = " ".join(line or "\n" for line in lines).split("\n")
    said = [part.strip() for one in paragraphs for part in (one, "")]
    foot = "RETURN: I agree and take part      ESCAPE: I do not"
    answer = cabin.page(folder.study.title, said[:-1], foot, (Action.CONFIRM, Action.QUIT))
    return answer is Action.CONFIRM


class StudySitting:
    """Drives everything one person has to drive; what is there already is left out.

    Args:
        cabin: what he sits in.
        folder: the study.
        sitter: who.
        course_of: where each condition is driven.
        routes: of one condition, in order.
    """

    def __init__(
        self,
        cabin: Cabin,
        folder: StudyFolder,
        sitter: Sitter,
        course_of: CourseOf,
        routes: Sequence[Route],
    ) -> None:
        self.cabin, self.folder, self.sitter = cabin, folder, sitter
        self._course_of, self._routes = course_of, routes
        study = folder.study
        self._files = Demonstrations(folder.laps(sitter), study.seed, sitter.id, cabin.device_name)
        self._conditions = {one.name: one for one in study.conditions}

    def drive(self) -> bool:
        """Drives; returns whether the person has done everything."""
        keys = keys_by_action(self.cabin.bindings)
        for place, name in enumerate(self.sitter.order):
            condition = self._conditions[name]
            left = [lap for lap in range(len(self._routes)) if not self._has(condition, lap)]
            if not left:
                continue
            self.cabin.person.part = _part(condition)
            title = f"Part {place + 1} of {len(self.sitter.order)}"
            foot = f"{keys['confirm']} begins   {keys['quit']} stops here"
            answers = (Action.CONFIRM, Action.QUIT)
            if self.cabin.page(title, [_says(condition)], foot, answers) is Action.QUIT:
                return False
            course = self._course_of(condition)
            for lap in left:
                if not self._lap(course, condition, lap):
                    return False
        self.cabin.page(
            "That was all",
            ["Thank you for taking part.", f"Your number is {self.sitter.id}."],
            f"{keys['confirm']} closes the window",
            (Action.CONFIRM, Action.QUIT),
        )
        return True

    def _lap(self, course: Course, condition: Condition, lap: int) -> bool:
        ended = Take(self.cabin, course, recording=True).drive(self._spec(condition, lap))
        if ended.wish in (Wish.LEAVE, Wish.RESTART, Wish.TAKE_BACK):
            return ended.wish is not Wish.LEAVE and self._lap(course, condition, lap)
        result = ended.result
        facts = {
            "condition": condition.name,
            "lap": lap + 1,
            "part": self.cabin.person.part.value,
            "score": route_scores(course.protocol, result).composed,
            "infractions": len(result.infractions),
        }
        self._files.keep(ended.episode, facts)
        return True

    def _has(self, condition: Condition, lap: int) -> bool:
        return self._files.has(self._spec(condition, lap))

    def _spec(self, condition: Condition, lap: int) -> EpisodeSpec:
        """Returns a lap: among conditions only the seed of what the others do differs."""
        study = self.folder.study
        traffic = Traffic(vehicles=study.vehicles, walkers=study.walkers, signals=study.signals)
        seed = derive_seed(study.seed, "study", condition.name, lap)
        steps = round(study.lap_seconds / 0.05)
        return EpisodeSpec(self._routes[lap], seed, steps, traffic=traffic)


def _part(condition: Condition) -> Part:
    if not condition.model:
        return Part.DRIVES
    return Part.CORRECTS if condition.method == "hg-dagger" else Part.LABELS


def _says(condition: Condition) -> str:
    return {
        Part.DRIVES: "You drive. Follow the blue line on the map, by the rules of the road.",
        Part.CORRECTS: "The car drives itself. Take the wheel by touching it or a key whenever "
        "you would not let it go on, and hand it back with F.",
        Part.LABELS: "The car drives itself and does not obey you. Hold the wheel or the keys as "
        "you would drive.",
    }[_part(condition)]
