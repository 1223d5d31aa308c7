"""CARLA servers as a World: each row is one server, mirrored into the Scene.

What an episode is comes from its spec exactly as in the embedded world: route, lights, who is
there at the start, and what its scenarios do. How bodies move is CARLA's. Background traffic
is driven by CARLA's Traffic Manager, walkers by its AI.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, NoReturn

import numpy as np

from drive_il.carla_sim.connection import Connection
from drive_il.carla_sim.mirror import Mirror
from drive_il.carla_sim.rig import Sensor
from drive_il.carla_sim.row import Row
from drive_il.carla_sim.servers import Claim, Lost
from drive_il.datatypes import (
    EpisodeSpec,
    Floats,
    Ints,
    Observation,
    Records,
    Route,
    Scene,
    check_control,
)
from drive_il.maps.network import RoadNetwork

_log = logging.getLogger("drive_il.carla")
_SAME = 0.05  # [m] a drive that is driven again must come so near to where it was


class World:
    """CARLA servers on one map; see `drive_il.protocols.World` for the contract.

    A context manager: servers are given back as they were found.

    Args:
        network: the map; servers that hold another load it.
        claim: the servers, one per row; it is closed with the world.
        routes: routes to prepare.
        dt: step length [s].
        history: for how long the scene's `past` reaches back [s].

    Raises:
        Lost: no server answers.
        ValueError: a server of another version, or whose map of this name is another.
    """

    def __init__(
        self,
        network: RoadNetwork,
        claim: Claim,
        routes: Sequence[Route] = (),
        dt: float = 0.05,
        history: float = 0.0,
    ) -> None:
        self.network, self.dt = network, dt
        self._claim = claim
        self._connections: list[Connection] = []
        self._rows: list[Row] = []
        try:
            for address in claim.addresses:
                self._connections.append(Connection(address, network, dt, claim.start))
            self._mirror = Mirror(network, len(self._connections), routes, dt, history=history)
            for index, connection in enumerate(self._connections):
                self._rows.append(Row(self._mirror, index, connection, network))
        except BaseException:
            self.close()
            raise
        # Each server has a thread that waits for it, so that all tick at once.
        self._pool = ThreadPoolExecutor(len(self._rows), "carla")
        self._sensors: tuple[Sensor, ...] = ()
        self._specs: list[EpisodeSpec | None] = [None] * len(self._rows)
        self._driven: list[list[Records]] = [[] for _ in self._rows]  # controls of the episode

    @property
    def n_rows(self) -> int:
        """B, the number of servers."""
        return len(self._rows)

    @property
    def scene(self) -> Scene:
        """The present, as views that the next step overwrites."""
        return self._mirror.scene

    def carry(self, sensors: Sequence[Sensor]) -> None:
        """Lets egos carry these sensors, instead of others, from their next episode on."""
        self._sensors = tuple(sensors)

    def seen(self, rows: Ints) -> Observation:
        """Returns what the sensors of some rows said last, by their names, (N, ...)."""
        told = [self._rows[row].seen() for row in rows]
        return {name: np.stack([one[name] for one in told]) for name in told[0]} if told else {}

    def reset(self, rows: Ints, specs: list[EpisodeSpec]) -> None:
        """Starts one episode in each of these rows.

        Raises:
            ValueError: as of `sim.World.reset`.
            Lost: a server is gone for good.
        """
        self._mirror.reset(rows, specs)
        for row, spec in zip(np.atleast_1d(rows).tolist(), specs, strict=True):
            self._specs[row], self._driven[row] = spec, []
            try:
                self._rows[row].begin(spec, self._sensors)
            except Lost as loss:
                self._begin_again(row, loss)
            self._rows[row].adopt()

    def step(self, control: Records) -> None:
        """Drives every row by one step of dt.

        A server that is lost is connected to again, and the episode driven again up to here.

        Raises:
            RuntimeError: a row has never been reset.
            ValueError: a control that no vehicle can execute.
            Lost: a server is gone for good, or the episode did not come about again.
        """
        check_control(control, self.n_rows, self.scene.step)
        for row, spec in enumerate(self._specs):
            if spec is None:
                raise RuntimeError(
                    f"Cannot call step() before reset(): row {row} has no episode; reset every "
                    "row first"
                )
        self._mirror.remember()
        places = [self._place(row) for row in range(self.n_rows)]
        for row, loss in enumerate(self._pool.map(self._step, range(self.n_rows), control)):
            if loss is not None:
                self._drive_again(row, places[row], loss)
                self._rows[row].step(control[row])
            self._rows[row].adopt()
            self._driven[row].append(control[row : row + 1].copy())

    def _step(self, row: int, control: Any) -> Lost | None:
        try:
            self._rows[row].step(control)
        except Lost as loss:
            return loss
        return None

    def _place(self, row: int) -> Floats:
        ego = self.scene.ego
        return np.array([ego["x"][row], ego["y"][row]])

    def _begin_again(self, row: int, loss: Lost) -> None:
        """Connects again and begins a row's episode again."""
        spec = self._specs[row]
        assert spec is not None, "an episode has begun"
        _log.warning("%s; connecting again", loss)
        connection = self._connections[row]
        connection.open()
        self._rows[row] = Row(self._mirror, row, connection, self.network)
        self._mirror.reset(np.array([row]), [spec])
        self._rows[row].begin(spec, self._sensors)

    def _drive_again(self, row: int, place: Floats, loss: Lost) -> None:
        """Drives a row's episode again, up to where its server was lost.

        Raises:
            Lost: it went differently this time.
        """
        self._begin_again(row, loss)
        for control in self._driven[row]:
            self._rows[row].step(control[0])
        away = float(np.hypot(*(self._place(row) - place)))
        if away > _SAME:
            raise Lost(
                f"{loss}. It was driven again from the start of the episode and came {away:.2f} m "
                "away from where it was, so that the drive cannot go on; drive it once more"
            )

    def snapshot(self, rows: Ints) -> NoReturn:
        """Not possible: no CARLA server can be copied.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError(
            "a CARLA server cannot be copied, so a CARLA world has no snapshots; what forks "
            "worlds runs in the embedded one: --world embedded, drive_il.sim.World"
        )

    def restore(self, snapshot: Any, rows: Ints) -> NoReturn:
        """Not possible either; see `snapshot`."""
        self.snapshot(rows)

    def close(self) -> None:
        """Gives the servers back. May be called twice."""
        for row in self._rows:
            try:
                row.end()
            except (Lost, RuntimeError) as error:
                _log.warning("left behind on a server: %s", error)
        for connection in self._connections:
            connection.close()
        if self._rows:
            self._pool.shutdown()
        self._rows, self._connections = [], []
        self._claim.close()

    def __enter__(self) -> World:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
