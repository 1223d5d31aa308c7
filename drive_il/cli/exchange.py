"""drive-il dataset export and import: other people's formats."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import tyro

from drive_il.cli.progress import told_bar

Folder = Annotated[Path, tyro.conf.Positional]
Format = Literal["lerobot", "minari", "rlds-map"]


def export(
    folder: Folder,
    /,
    out: Path,
    format: Format = "lerobot",
    lossless: bool = False,
    videos: tuple[str, ...] = (),
) -> None:
    """Writes a dataset in another project's format, so that its library opens it as its own.

        drive-il dataset export runs/data --format lerobot --out runs/lerobot --lossless
        drive-il dataset export runs/data --format minari --out runs/minari/alder-v0
        drive-il dataset export runs/data --format rlds-map --out rlds.json

    LeRobot: `LeRobotDataset("local/alder", root=OUT)`. Minari: set MINARI_DATASETS_PATH to the
    folder that OUT is in, `minari.load_dataset("alder-v0")`. What those have no place for lies
    in OUT/drive_il, so that `drive-il dataset import` makes the same episodes again.
    docs/datasets.md says which field becomes which.

    Args:
        folder: of the dataset.
        out: folder to write, which must not exist; for rlds-map a .json file.
        format: lerobot (v3.0), minari (0.5.4 and later; always without loss), or rlds-map: which
            RLDS field is what, with dtypes and shapes.
        lossless: lerobot's videos keep every bit of the pictures, at several times the size.
        videos: observations that become videos in lerobot; all colour pictures if not given.
    """
    from drive_il.dataset import Dataset

    dataset = Dataset(folder)
    if format == "rlds-map":
        from drive_il.exchange import rlds
        from drive_il.folders import write_whole

        write_whole(out, json.dumps(rlds.mapping(dataset), indent=1).encode())
        print(f"wrote {out}; drive_il.exchange.rlds.steps(episode) gives the steps")
        return
    if format == "minari":
        from drive_il.exchange import minari

        with told_bar("exporting") as told:
            target = minari.export(dataset, out, told)
        print(f"wrote {target}: {len(dataset)} episodes. In Python, with MINARI_DATASETS_PATH="
              f"{target.parent}: minari.load_dataset({target.name!r})")  # fmt: skip
        return
    from drive_il.exchange import lerobot

    with told_bar("exporting") as told:
        lerobot.export(dataset, out, lerobot.LeRobotConfig(lossless, videos), told)
    print(f"wrote {out}: {len(dataset)} episodes. In Python: LeRobotDataset('local/{out.name}', "
          f"root={str(out)!r})")  # fmt: skip


def import_back(source: Folder, /, out: Path) -> None:
    """Makes a dataset of one that `drive-il dataset export` has written: LeRobot's or Minari's.

        drive-il dataset import runs/lerobot --out runs/again

    Without loss, the files are the same to the bit (written by the same versions). Data sets
    from elsewhere cannot become episodes: an episode needs its route and everyone's states.

    Args:
        source: folder of the exported data set.
        out: folder of the dataset to write, which must not exist.
    """
    from drive_il.exchange import lerobot, minari

    if (source / lerobot.INFO).is_file():
        convert: Callable[..., bool] = lerobot.import_back
    elif (source / minari.METADATA).is_file():
        convert = minari.import_back
    else:
        raise ValueError(
            f"{source} has neither {lerobot.INFO} (LeRobot) nor {minari.METADATA} (Minari); give "
            "the folder of an exported data set"
        )
    with told_bar("importing") as told:
        exact = convert(source, out, told)
    loss = "" if exact else ", pictures as the videos show them (exported with loss)"
    print(f"wrote {out}{loss}; look at it: drive-il dataset info {out}")
