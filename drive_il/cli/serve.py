"""drive-il serve: the embedded world as a CARLA server."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal


def serve(
    town: str = "alder",
    map: Path | None = None,
    port: int = 2000,
    host: str = "127.0.0.1",
    seed: int = 0,
    speed: Literal["max", "realtime"] = "max",
    vehicles: int = 0,
    walkers: int = 0,
) -> None:
    """Serves the embedded world to CARLA 0.9.16 clients until interrupted; needs no GPU.

    Your own CARLA program connects as ever: carla.Client("localhost", 2000).
    docs/carla_server.md says what works and what differs.

        drive-il serve --town cedar
        drive-il serve --map Town01.xodr --port 2010 --vehicles 50 --walkers 30

    Args:
        town: a name from `drive-il maps list`.
        map: an .xodr file to serve instead.
        port: of the calls; streams are on the next one.
        host: address to listen on; anything but loopback lets others in, without a password.
        seed: decides traffic, lights and noise.
        speed: as fast as clients ask, or never faster than the clock.
        vehicles: vehicles that the world itself drives.
        walkers: people that the world itself moves.
    """
    import asyncio

    from drive_il.actors import Traffic
    from drive_il.carla_sim.server.host import Options
    from drive_il.carla_sim.server.serving import serve as run

    if not 1 <= port <= 65534:
        raise ValueError(f"--port must be in [1, 65534], got {port}")
    if not 0 <= seed < 2**64:
        raise ValueError(f"--seed must be in [0, 2**64), got {seed}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    traffic = Traffic(vehicles=vehicles, walkers=walkers, signals=True)
    options = Options(port, host, seed, traffic, speed == "realtime")
    asyncio.run(run(str(map) if map else town, options))
