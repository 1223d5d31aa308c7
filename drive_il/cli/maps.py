"""drive-il maps ...: the shipped towns, and maps of your own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.table import Table

from drive_il.maps import library

Name = Annotated[str, tyro.conf.Positional]


def list_maps() -> None:
    """Lists every map that can be named: the shipped towns and the imported ones."""
    table = Table("name", "origin", "lanes", "driving lanes [km]", "junctions", "signals")
    for name in library.names():
        facts = library.facts(name)
        table.add_row(name, *(str(fact) for fact in facts))
    Console().print(table)


def show(
    name: Name,
    /,
    out: Path = Path("map.png"),
    center: tuple[float, float] | None = None,
    span: float | None = None,
) -> None:
    """Draws a map as a PNG: lanes by type, markings, lights, signs, stop lines, crosswalks.

    Args:
        name: a name from `drive-il maps list`, or the path of an .xodr file.
        out: the picture to write.
        center: middle of a close-up, x y in the map's frame [m].
        span: edge of the close-up [m].
    """
    from drive_il.maps import picture

    if (center is None) != (span is None):
        raise ValueError("a close-up needs both --center X Y and --span METRES")
    picture.draw(library.load(name), out, center=center, span=span)
    print(f"wrote {out}")


def generate(
    style: Literal["urban", "suburb", "ring", "country"],
    seed: int = 0,
    out: Path | None = None,
) -> None:
    """Makes a new town as an OpenDRIVE file; the same style and seed give the same bytes.

    Args:
        style: urban (grid of streets), suburb (winding, with a roundabout), ring (multi-lane
            with ramps) or country (one winding road).
        seed: which one.
        out: the file to write; default STYLE-SEED.xodr.
    """
    from drive_il.maps import towns

    path = out or Path(f"{style}-{seed}.xodr")
    text = towns.generate(style, seed)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
    print(f"wrote {path}; `drive-il maps import {path}` makes it a map of yours")


def import_map(path: Annotated[Path, tyro.conf.Positional], /) -> None:
    """Takes in an OpenDRIVE file, so that it can be named like a shipped town.

    Args:
        path: the .xodr file, for example CARLA's own Town01.xodr.
    """
    from drive_il.sensors.ground import ground_map
    from drive_il.sim.edges import edges_of
    from drive_il.sim.pavements import pavements_of

    name = library.import_map(path)
    for prepare in (ground_map, edges_of, pavements_of):  # so that no first use waits for it
        prepare(library.load(name))
    print(f"imported {path} as {name}; `drive-il maps show {name}` draws it")


def fetch(town: str = "", host: str = "127.0.0.1", port: int = 2000) -> None:
    """Takes in the map of a CARLA server, so that routes on it can be driven and judged.

    Args:
        town: a map that the server loads first; the one that it holds if not given.
        host: of the server.
        port: of the server.
    """
    from drive_il.carla_sim.connection import fetch_map
    from drive_il.carla_sim.servers import Address

    print(f"imported {fetch_map(Address(host, port), town)}")
