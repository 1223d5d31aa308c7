"""What a person decides about each episode, and the data set that comes of it.

Decisions stand in `review.json` beside the episodes, which stay as they were recorded. `apply`
makes a new data set of them: dropped episodes are left out, cut ones shortened, labels kept
with each episode.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from drive_il.dataset import Dataset
from drive_il.dataset_file import EpisodeFile, write
from drive_il.datatypes import Episode, Outcome
from drive_il.folders import folder_whole, write_whole

REVIEW = "review.json"
"""the decisions, in the folder of the episodes"""
_ON_STATES = ("ego", "progress", "weather", "vehicles", "walkers", "lights", "events")
_ON_STEPS = ("control", "policy_control", "expert_control", "who", "asked")


@dataclass(frozen=True)
class Decision:
    """What was decided about one episode.

    Attributes:
        keep: False leaves it out.
        cut: steps that are kept, from the first to before the second; None keeps all.
        labels: words for it, e.g. "night", "clean".
        note: for people.
    """

    keep: bool = True
    cut: tuple[int, int] | None = None
    labels: tuple[str, ...] = ()
    note: str = ""


@dataclass
class Review:
    """The decisions about a data set; every change is on disk at once, whole.

    Args:
        dataset: what is reviewed.

    Raises:
        ValueError: the file of decisions is damaged.
    """

    dataset: Dataset
    decisions: dict[str, Decision] = field(init=False)

    def __post_init__(self) -> None:
        self._path = self.dataset.folder / REVIEW
        self.decisions = {}
        if not self._path.exists():
            return
        try:
            content = json.loads(self._path.read_text())
            for name, entry in content.items():
                cut = tuple(entry["cut"]) if entry["cut"] is not None else None
                fixed = {"cut": cut, "labels": tuple(entry["labels"])}
                self.decisions[name] = Decision(**entry | fixed)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                f"{self._path} is damaged ({error}); mend it, or delete it to begin again"
            ) from error

    def undecided(self) -> list[str]:
        """Returns the episodes that nothing was decided about, in order."""
        names = [path.stem for path in self.dataset.paths]
        return [name for name in names if name not in self.decisions]

    def find(self, which: str) -> Path:
        """Returns the file of an episode: by its number from 0, its name, or how that begins.

        Raises:
            ValueError: there is none, or several.
        """
        paths = self.dataset.paths
        if which.isdigit() and int(which) < len(paths):
            return paths[int(which)]
        found = [path for path in paths if path.stem == which]
        found = found or [path for path in paths if path.stem.startswith(which)]
        if len(found) == 1:
            return found[0]
        few = ", ".join(path.stem for path in (found or paths)[:4])
        many = f"{len(found)} episodes begin so" if found else "there is no such episode"
        raise ValueError(
            f"--episode {which!r}: {many} among {len(paths)} in {self.dataset.folder}; give a "
            f"number from 0 to {len(paths) - 1}, or a name such as {few}"
        )

    def decide(self, path: Path, decision: Decision) -> None:
        """Keeps a decision about an episode's file, in place of an earlier one.

        Raises:
            ValueError: a cut that leaves no step, or goes beyond the episode.
        """
        n_steps = EpisodeFile(path).header["n_steps"]
        if decision.cut is not None:
            first, last = decision.cut
            if not 0 <= first < last <= n_steps:
                raise ValueError(
                    f"a cut keeps steps FIRST to LAST with 0 <= FIRST < LAST <= {n_steps}, got "
                    f"{first} {last} for {path.stem}"
                )
        self.decisions[path.stem] = decision
        content = {name: asdict(one) for name, one in sorted(self.decisions.items())}
        write_whole(self._path, json.dumps(content, indent=1).encode())


def shortened(episode: Episode, first: int, last: int) -> Episode:
    """Returns the steps from `first` to before `last`, and the states around them.

    Its outcome is ABORTED where the end was cut off. Its spec stays that of the whole drive: a
    drive whose beginning was cut off can be learned from, but not driven again from its spec.
    """
    states, steps = slice(first, last + 1), slice(first, last)
    return replace(
        episode,
        outcome=episode.outcome if last == episode.n_steps else Outcome.ABORTED,
        observations={name: value[states] for name, value in episode.observations.items()},
        info={name: value[steps] for name, value in episode.info.items()},
        **{name: getattr(episode, name)[states] for name in _ON_STATES},
        **{name: getattr(episode, name)[steps] for name in _ON_STEPS},
    )


def apply(
    review: Review, out: Path, told: Callable[[int, int], None] = lambda done, total: None
) -> int:
    """Makes the data set that the decisions describe; whole, or not at all.

    Episodes without a decision are kept as they are.

    Args:
        review: of the source.
        out: a folder that does not exist.
        told: (episodes done, episodes in all), after each.

    Returns:
        Episodes in the new data set.

    Raises:
        ValueError: `out` exists, or everything was dropped.
    """
    paths = review.dataset.paths
    kept = [path for path in paths if review.decisions.get(path.stem, Decision()).keep]
    if not kept:
        raise ValueError(
            f"all {len(paths)} episodes of {review.dataset.folder} were dropped; keep one at least"
        )
    with folder_whole(out) as folder:
        for i, path in enumerate(kept):
            decision = review.decisions.get(path.stem, Decision())
            file = EpisodeFile(path, check=True)
            episode = file.load()
            facts: dict[str, Any] = file.header["facts"]
            if decision != Decision():
                facts = facts | {"review": asdict(decision) | {"steps": episode.n_steps}}
            if decision.cut is not None:
                episode = shortened(episode, *decision.cut)
            write(episode, folder / path.name, facts)
            told(i + 1, len(kept))
    return len(kept)
