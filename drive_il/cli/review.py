"""The sitting of drive-il dataset review: one episode after the other, by keys."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from drive_il.curation.pictures import cameras, view
from drive_il.curation.review import Decision, Review
from drive_il.dataset_file import EpisodeFile
from drive_il.datatypes import Episode

_HELP = """  k          keep it            d          drop it
  c 40 300   keep steps 40 to 299   l night      label it (with further words)
  w          watch: writes a clip and a strip of pictures, and says where
  s          skip for now       q          stop; what was decided is kept"""


def ask(sitting: Review, paths: Sequence[Path], read: Callable[[str], str] = input) -> None:
    """Asks about episodes until all are decided or the person stops.

    Args:
        sitting: gets the decisions, each at once.
        paths: of the episodes.
        read: gives the next line for a prompt.

    Raises:
        ValueError: nobody can answer: the input is no terminal.
    """
    if read is input and not sys.stdin.isatty():
        raise ValueError(
            "nobody is at the keyboard (the input is no terminal); decide with --episode and "
            "--keep, --drop, --cut or --label"
        )
    print(_HELP)
    clips = Path(tempfile.gettempdir()) / "drive_il_review"
    for i, path in enumerate(paths):
        episode = EpisodeFile(path, check=True).load()
        print(f"\n{i + 1} of {len(paths)}: {path.stem}\n  {told(episode)}")
        if not _one(sitting, path, episode, clips, read):
            return
    print(f"\nnothing is left to decide; make a dataset of it: drive-il dataset review "
          f"{sitting.dataset.folder} --apply OUT")  # fmt: skip


def told(episode: Episode) -> str:
    """Returns an episode in one line."""
    speed = 3.6 * episode.ego["speed"].mean()
    lateral = np.abs(episode.progress["lateral_error"]).max()
    return (
        f"{episode.n_steps} steps, {episode.n_steps * episode.dt:.1f} s, "
        f"{episode.outcome.name.lower()}, {speed:.0f} km/h on average, at most {lateral:.2f} m "
        f"from the lane centre, {episode.labels} labels"
    )


def _one(
    sitting: Review, path: Path, episode: Episode, clips: Path, read: Callable[[str], str]
) -> bool:
    """Asks about one episode; False when the person stops."""
    while True:
        decision = sitting.decisions.get(path.stem, Decision())
        word, *rest = read("  k d c l w s q > ").split() or [""]
        try:
            if word in ("q", "s"):
                return word == "s"
            if word == "w":
                _watch(episode, clips / path.stem)
            elif word == "l" and rest:
                sitting.decide(path, replace(decision, labels=tuple(rest)))
            elif word == "c" and len(rest) == 2:
                sitting.decide(path, replace(decision, keep=True, cut=(int(rest[0]), int(rest[1]))))
            elif word == "k":
                sitting.decide(path, replace(decision, keep=True))
                return True
            elif word == "d":
                sitting.decide(path, replace(decision, keep=False, cut=None))
                return True
            else:
                print(_HELP)
        except ValueError as error:
            print(f"  {error}")


def _watch(episode: Episode, place: Path) -> None:
    strip = place.with_name(f"{place.name}.png")
    view(episode, strip)
    print(f"  {strip}")
    if cameras(episode):
        clip = place.with_name(f"{place.name}.mp4")
        view(episode, clip)
        print(f"  {clip}")
