"""Shuffled batches of frames, streamed from episode files within a memory budget."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from drive_il.dataset_file import EpisodeFile
from drive_il.datatypes import CONTROL, VEHICLE, WEATHER, Array, Bools, Ints
from drive_il.randomness import derive_seed
from drive_il.surroundings import AROUND, check_kept, widened
from drive_il.waypoints import N_WAYPOINTS, labels

Batch = dict[str, Array]
Transform = Callable[[Batch, int, Array], Batch]
"""(batch, epoch, frame indices) -> batch, e.g. augmentation."""


_READER_NICENESS = 10


@dataclass(frozen=True)
class _Unit:
    """Rows that are read together: one row group of one file."""

    path: Path
    group: int
    keep: Bools  # of its rows, which are frames to learn from
    first: int  # index of its first kept frame among all frames
    n: int


@dataclass
class FrameBatches:
    """Shuffled batches of frames, streamed from disk within a memory budget.

    Frames are shuffled in two stages: row groups are put in a random order and read window
    by window, and the frames of a window are mixed. When everything fits into the budget,
    that is one window, read once, and the shuffle is complete. The order is a function of
    files, seed, epoch, batch size and budget.

    A batch holds the observations by name, `control` the expert's labels (N,) CONTROL (as
    executed where `only_labelled` is off and nobody was asked), with `states` also `ego`
    (N,) VEHICLE and `weather` (N,) WEATHER, and where asked for `waypoints` (N, K, 2) float32 [m]
    and `surroundings` (`drive_il.surroundings.around`). The last batch of a pass may be shorter.

    Raises:
        ValueError: no frame to learn from, an unknown observation, a damaged file, or a drive in
            traffic that was not kept where surroundings are asked for.
    """

    paths: Sequence[Path]
    names: tuple[str, ...] | None = None
    batch_size: int = 64
    seed: int = 0
    memory_budget: int = 1 << 30
    shuffled: bool = True
    only_labelled: bool = True
    transform: Transform | None = None
    states: bool = True
    waypoints: bool = False
    surroundings: bool = False
    _units: list[_Unit] = field(init=False, repr=False)
    _widths: dict[str, int] = field(init=False, repr=False)
    _whole: Batch | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}")
        self._units, self._widths = [], {}
        n_frames, row_bytes = 0, 0
        for path in self.paths:
            file = EpisodeFile(path)
            if self.names is None:
                self.names = tuple(file.sensors())
            places = 8 * N_WAYPOINTS if self.waypoints else 0
            row_bytes = max(row_bytes, _row_bytes(file, self.names, self.states) + places)
            for group, keep in enumerate(self._kept(file)):
                n = int(keep.sum())
                if n:
                    self._units.append(_Unit(path, group, keep, n_frames, n))
                    n_frames += n
            if self.surroundings:
                self._widen(file)
        if n_frames == 0:
            raise ValueError(
                "no frame with an expert label; record with a gate that asks the expert"
                if self.only_labelled
                else "the episodes hold no step"
            )
        self.n_frames = n_frames
        others = sum(AROUND[name].itemsize * width for name, width in self._widths.items())
        self._row_bytes = row_bytes + others

    def _widen(self, file: EpisodeFile) -> None:
        """Makes room in each batch for all who were there in a drive."""
        found = {name: file.width(name) for name in AROUND}
        asked = file.header["spec"]["traffic"]["vehicles"]
        check_kept(asked, found["vehicles"], str(file.path))
        self._widths = {name: max(self._widths.get(name, 0), found[name]) for name in found}

    @property
    def n_batches(self) -> int:
        """Batches per pass."""
        return -(-self.n_frames // self.batch_size)

    @property
    def fits(self) -> bool:
        """Whether all frames are kept in memory after the first pass."""
        return self.n_frames * self._row_bytes <= self.memory_budget

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yields the batches of one pass."""
        rng = np.random.default_rng(derive_seed(self.seed, "shuffle", epoch))
        rest: Batch | None = None
        for window in self._windows(rng):
            order = np.arange(len(window["control"]))
            if self.shuffled:
                rng.shuffle(order)
            first = 0
            if rest is not None:  # fill the batch that the last window left unfinished
                first = self.batch_size - len(rest["control"])
                head = _take(window, order[:first])
                rest = {name: np.concatenate((rest[name], head[name])) for name in head}
                if len(rest["control"]) < self.batch_size:
                    continue
                yield self._finished(rest, epoch)
                rest = None
            for begin in range(first, len(order), self.batch_size):
                batch = _take(window, order[begin : begin + self.batch_size])
                if len(batch["control"]) < self.batch_size:
                    rest = batch
                else:
                    yield self._finished(batch, epoch)
        if rest is not None:
            yield self._finished(rest, epoch)

    def _finished(self, batch: Batch, epoch: int) -> Batch:
        index = batch.pop("_index")
        return self.transform(batch, epoch, index) if self.transform else batch

    def _windows(self, rng: np.random.Generator) -> Iterator[Batch]:
        if self.fits:
            if self._whole is None:
                self._whole = self._read(self._units, {})
            yield self._whole
            return
        windows = self._planned(rng)
        # One window is eaten while the next is read, in turn at the same two places: memory
        # that is new costs as much, page by page, as what is read into it.
        places: list[Batch] = [{}, {}]
        with ThreadPoolExecutor(1, "drive_il-frames", initializer=_step_back) as reader:
            coming = reader.submit(self._read, windows[0], places[0])
            for k, following in enumerate([*windows[1:], None]):
                window = coming.result()
                if following is not None:
                    coming = reader.submit(self._read, following, places[(k + 1) % 2])
                yield window

    def _planned(self, rng: np.random.Generator) -> list[list[_Unit]]:
        """Deals the row groups out to windows."""
        order = np.arange(len(self._units))
        if self.shuffled:
            rng.shuffle(order)
        # Two windows are held; the last third is for what is being unpacked and handed on.
        limit = max(self.memory_budget // (3 * self._row_bytes), self.batch_size)
        windows: list[list[_Unit]] = [[]]
        size = 0
        for unit in (self._units[i] for i in order):
            if windows[-1] and size + unit.n > limit:
                windows.append([])
                size = 0
            windows[-1].append(unit)
            size += unit.n
        return windows

    def _kept(self, file: EpisodeFile) -> list[Bools]:
        """Returns which rows of each row group are frames to learn from."""
        asked = file.read(["asked"])["asked"].astype(np.bool_)
        keep = np.arange(len(asked)) < file.header["n_steps"]
        if self.only_labelled:
            keep &= asked
        return np.split(keep, np.cumsum(file.group_rows)[:-1])

    def _read(self, units: list[_Unit], room: Batch) -> Batch:
        """Reads the kept frames of some units, joined; `_index` numbers them in the whole set.

        Args:
            units: what to read.
            room: arrays of an earlier call to write into; those that are missing or too short
                are replaced.
        """
        by_file: dict[Path, EpisodeFile] = {}
        places: dict[Path, Array] = {}
        joined: Batch = {}
        total, at = sum(unit.n for unit in units), 0
        for unit in units:
            file = by_file.get(unit.path) or EpisodeFile(unit.path)
            by_file = {unit.path: file}
            part = self._frames(file, unit)
            if self.waypoints:
                if unit.path not in places:
                    places = {unit.path: _waypoints(file)}
                first = sum(file.group_rows[k] for k in range(unit.group))
                rows = first + np.flatnonzero(unit.keep)
                part["waypoints"] = places[unit.path][rows]
            for name, value in part.items():
                if name not in joined:
                    if name not in room or len(room[name]) < total:
                        room[name] = np.empty((total, *value.shape[1:]), value.dtype)
                    joined[name] = room[name][:total]
                if joined[name].shape[1:] != value.shape[1:]:
                    raise ValueError(
                        f"{unit.path} has {name} of shape {value.shape[1:]}, other episodes "
                        f"{joined[name].shape[1:]}; learn from one kind of sensor at a time"
                    )
                joined[name][at : at + unit.n] = value
            at += unit.n
        return joined

    def _frames(self, file: EpisodeFile, unit: _Unit) -> Batch:
        names = [f"observation.{name}" for name in self.names or ()]
        states = (("ego", VEHICLE), ("weather", WEATHER)) if self.states else ()
        fixed = [
            f"{prefix}.{field}"
            for prefix, dtype in (*states, ("control", CONTROL), ("expert", CONTROL))
            for field in dtype.names or ()
        ]
        others = [name for name in self._widths if name in file.names]
        columns = file.read([*names, *fixed, *others, "asked"], [unit.group])
        asked: Ints = columns["asked"].astype(np.bool_)
        control = file.records("control", CONTROL, columns)
        control[asked] = file.records("expert", CONTROL, columns)[asked]
        frames = {name.removeprefix("observation."): columns[name] for name in names}
        frames["control"] = control
        frames |= {prefix: file.records(prefix, dtype, columns) for prefix, dtype in states}
        for name, width in self._widths.items():
            frames[name] = widened(file.around(name, columns), width)
        if self.surroundings:
            frames["slot"] = np.full(len(asked), file.header["slot"], np.int32)
        if unit.n < len(unit.keep):  # most groups are kept whole, which saves a copy
            frames = {name: value[unit.keep] for name, value in frames.items()}
        return frames | {"_index": np.arange(unit.first, unit.first + unit.n)}


def _step_back() -> None:
    """Lets what learns go first: a gradient step waits for the last of its threads."""
    if sys.platform == "linux":  # elsewhere threads have no priority of their own
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _READER_NICENESS)


def _waypoints(file: EpisodeFile) -> Array:
    """Returns the waypoint labels of a whole drive, (T, K, 2) float32 [m]."""
    kinds = {"ego": VEHICLE, "control": CONTROL, "expert": CONTROL}
    names = [f"{kind}.{name}" for kind, dtype in kinds.items() for name in dtype.names or ()]
    columns = file.read(names)
    ego, control, expert = (file.records(kind, dtype, columns) for kind, dtype in kinds.items())
    n_steps = file.header["n_steps"]
    return labels(ego, control[:n_steps], expert[:n_steps], file.header["dt"])


def _row_bytes(file: EpisodeFile, names: Sequence[str], states: bool) -> int:
    """Returns what one frame takes in memory [bytes]."""
    size = CONTROL.itemsize + (VEHICLE.itemsize + WEATHER.itemsize) * states + 8
    for name in names:
        layout = file.header["arrays"].get(f"observation.{name}")
        if layout is None:
            size += 8
        else:
            size += int(np.prod(layout["shape"])) * np.dtype(layout["dtype"]).itemsize
    return size


def _take(frames: Batch, rows: Ints) -> Batch:
    return {name: value[rows] for name, value in frames.items()}
