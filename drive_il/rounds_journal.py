"""What the rounds of a training have done, so that a killed one goes on where it was.

Training is a function of its arguments, and most of its time goes into drives and fits. The
journal keeps the result of each of them, in the order in which they were asked for: a
training that is begun again finds them there instead of making them, and everything
between is computed anew, to the same bits.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import nn

from drive_il.dataset import Dataset, EpisodeWriter
from drive_il.datatypes import Episode
from drive_il.folders import write_whole

_RUN, _WEIGHTS, _FACTS = "run.json", "weights.safetensors", "facts.json"
Facts = dict[str, Any]


class Journal:
    """Results in a folder, one after the other; without a folder nothing is kept.

    Args:
        folder: made when needed.
        run: what decides the training, as JSON.

    Raises:
        ValueError: the folder is of another training.
    """

    def __init__(self, folder: Path | None, run: Mapping[str, Any]) -> None:
        self.folder, self._n = folder, 0
        if folder is None:
            return
        path, mine = folder / _RUN, json.loads(json.dumps(run, default=str))
        if not path.exists():
            write_whole(path, json.dumps(mine, indent=2).encode())
            return
        try:
            theirs = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(
                f"{path} is damaged ({error}); delete {folder} to start over"
            ) from error
        if theirs != mine:
            other = sorted(key for key in mine if theirs.get(key) != mine[key])
            raise ValueError(
                f"{folder} belongs to a training with another {' and '.join(other) or 'config'}; "
                "delete it to start over"
            )

    def drives(self, make: Callable[[], list[Episode]]) -> list[Episode]:
        """Returns the next drives, made or found."""
        place = self._next()
        if place is None:
            return make()
        if not place.is_dir():
            found = make()
            temporary = _fresh(place)
            for i, episode in enumerate(found):
                EpisodeWriter(temporary / f"{i:04d}")(episode)
            temporary.rename(place)
            return found
        return [Dataset(one).load(0) for one in sorted(place.iterdir())]

    def fit(self, network: nn.Module, make: Callable[[Path | None], Facts]) -> Facts:
        """Fits a network in place, or puts the weights in that were found.

        Args:
            network: ends with the fitted weights.
            make: fits it; is given a file for checkpoints, and returns what else is to be kept.

        Returns:
            What `make` returned.
        """
        place = self._next()
        if place is None:
            return make(None)
        if place.is_dir():
            network.load_state_dict(load_file(place / _WEIGHTS))
            kept: Facts = json.loads((place / _FACTS).read_text(encoding="utf-8"))
            return kept
        facts = make(place.with_suffix(".checkpoint"))
        temporary = _fresh(place)
        weights = {name: value.contiguous() for name, value in network.state_dict().items()}
        save_file(weights, temporary / _WEIGHTS)
        (temporary / _FACTS).write_text(json.dumps(facts), encoding="utf-8")
        temporary.rename(place)
        return facts

    def _next(self) -> Path | None:
        self._n += 1
        return None if self.folder is None else self.folder / f"{self._n:04d}"


def _fresh(place: Path) -> Path:
    """Returns an empty folder beside a place, to be renamed when it is whole."""
    temporary = place.with_name(f"{place.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    return temporary
