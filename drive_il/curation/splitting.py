"""One data set becomes parts to train on, to validate and to test."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from drive_il.dataset import Dataset
from drive_il.dataset_file import EpisodeFile
from drive_il.folders import folder_whole
from drive_il.randomness import derive_seed

By = Literal["episode", "route"]
"""what is never divided: an episode, or all episodes on one route of one town"""
SPLIT = "split.json"
"""which episode is in which part, beside the parts"""


def assign(groups: list[str], fractions: Mapping[str, float], seed: int) -> dict[str, list[int]]:
    """Divides items into parts; items of one group stay together.

    Groups go, in an order drawn by the seed, to the part that lacks most of its share. A part
    with a positive fraction gets a group at least, where there are as many groups as parts.

    Args:
        groups: of each item.
        fractions: share of each part, by name; their sum is 1.
        seed: decides which.

    Returns:
        For each part its items, in order.

    Raises:
        ValueError: fractions that are no shares, or fewer groups than parts.
    """
    total = sum(fractions.values())
    if any(not 0.0 < share < 1.0 for share in fractions.values()) or abs(total - 1.0) > 1e-6:
        raise ValueError(
            f"fractions must each be in (0, 1) and add up to 1, got {dict(fractions)}, which add "
            f"up to {total:g}"
        )
    members: dict[str, list[int]] = {}
    for i, group in enumerate(groups):
        members.setdefault(group, []).append(i)
    if len(members) < len(fractions):
        raise ValueError(
            f"{len(members)} {'group' if len(members) == 1 else 'groups'} cannot be divided into "
            f"{len(fractions)} parts; record more, or ask for fewer parts"
        )
    rng = np.random.default_rng(derive_seed(seed, "split"))
    names = sorted(members)
    order = [names[k] for k in rng.permutation(len(names))]
    parts: dict[str, list[int]] = {name: [] for name in fractions}
    for k, group in enumerate(order):
        empty = [name for name, items in parts.items() if not items]
        left = len(order) - k
        able = empty if left <= len(empty) else list(parts)
        wanting = max(able, key=lambda n: fractions[n] * len(groups) - len(parts[n]))
        parts[wanting] += members[group]
    return {name: sorted(items) for name, items in parts.items()}


def split(
    dataset: Dataset,
    out: Path,
    fractions: Mapping[str, float],
    seed: int = 0,
    by: By = "episode",
    told: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, int]:
    """Copies a data set into one folder for each part; whole, or not at all.

    Args:
        dataset: to divide.
        out: a folder that does not exist; gets one folder a part, and `split.json`.
        fractions: share of each part's episodes, by name.
        seed: decides who goes where.
        by: "route" keeps all drives on one route in one part, so that nothing learned on a road
            is tested on the same road. (Two routes can still share a piece of road.)
        told: (episodes done, episodes in all), after each.

    Returns:
        Episodes in each part.
    """
    groups = [_group(path, by) for path in dataset.paths]
    parts = assign(groups, fractions, seed)
    done = 0
    with folder_whole(out) as folder:
        for name, items in parts.items():
            (folder / name).mkdir()
            for i in items:
                path = dataset.paths[i]
                shutil.copyfile(path, folder / name / path.name)
                done += 1
                told(done, len(dataset))
        facts = {
            "from": str(dataset.folder),
            "by": by,
            "seed": seed,
            "fractions": dict(fractions),
            "parts": {n: [dataset.paths[i].stem for i in items] for n, items in parts.items()},
        }
        (folder / SPLIT).write_text(json.dumps(facts, indent=1))
    return {name: len(items) for name, items in parts.items()}


def _group(path: Path, by: By) -> str:
    if by == "episode":
        return path.name
    route = EpisodeFile(path).header["spec"]["route"]
    return f"{route['town']} {route['id']}"
