"""B worlds on one map, stepped together.

Every row is a world of its own: its result depends on its episode spec and its controls,
never on B, its row, the other rows or the number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drive_il import kernels
from drive_il.datatypes import (
    CONTROL,
    PROGRESS,
    WEATHER,
    Bools,
    EpisodeSpec,
    Floats,
    Ints,
    Records,
    Route,
    Scene,
    check_control,
)
from drive_il.maps.ground import ground
from drive_il.maps.network import RoadNetwork
from drive_il.sim import stepping, vehicle
from drive_il.sim.routes import Routes

_MAX_DT = 0.5  # [s]
_ROWS_PER_THREAD = 256  # a step of fewer rows is over before a second thread has begun


@dataclass(frozen=True)
class Snapshot:
    """The full state of some rows, to be put back with `World.restore`.

    Attributes:
        map_hash: of the map it was taken on.
        dt: step length of the world it was taken from [s].
        ego: (N,) VEHICLE.
        progress: (N,) PROGRESS.
        weather: (N,) WEATHER.
        step: (N,) int64.
        seed: (N,) uint64.
        routes: route of each row, N long.
    """

    map_hash: str
    dt: float
    ego: Records
    progress: Records
    weather: Records
    step: Ints
    seed: Ints
    routes: tuple[Route, ...]


class World:
    """B worlds on one map; see `drive_il.datatypes.World` for the contract.

    Args:
        network: the map.
        n_rows: B.
        routes: routes to prepare; others are prepared when an episode first needs them.
        dt: step length, in (0, 0.5] [s].

    Raises:
        ValueError: for no rows, a dt out of range, or a route of another map.
    """

    def __init__(
        self,
        network: RoadNetwork,
        n_rows: int,
        routes: Sequence[Route] = (),
        dt: float = 0.05,
    ) -> None:
        if n_rows < 1:
            raise ValueError(f"a world needs at least one row, got n_rows={n_rows}")
        if not 0.0 < dt <= _MAX_DT:
            raise ValueError(f"dt must be in (0, {_MAX_DT}] seconds, got {dt}")
        self.network = network
        self.dt = float(dt)
        self._n_rows = int(n_rows)
        self._ego = vehicle.standing(n_rows)
        self._progress = np.zeros(n_rows, PROGRESS)
        self._weather = np.zeros(n_rows, WEATHER)
        self._step = np.zeros(n_rows, np.int64)
        self._seed = np.zeros(n_rows, np.uint64)
        self._begun: Bools = np.zeros(n_rows, np.bool_)
        self._all_begun = False
        self._ground = ground(network)
        self._routes = Routes(network, routes)
        self._bind()

    def _bind(self) -> None:
        """Points the scene and the kernels' arguments at the present route table."""
        self._scene = Scene(
            self._ego,
            self._progress,
            self._weather,
            self._step,
            self._seed,
            self._routes.table,
            self.dt,
        )
        self._arguments = (
            self._ego,
            self._progress,
            self._weather,
            self._step,
            self._routes.arrays,
            self._ground,
            self.dt,
        )

    @property
    def n_rows(self) -> int:
        """B."""
        return self._n_rows

    @property
    def scene(self) -> Scene:
        """The present, as views that the next step overwrites.

        Ask for it again after a reset: a route that is new to the world is not in the
        route table of a scene handed out earlier.
        """
        return self._scene

    def prepare(self, route: Route) -> int:
        """Enters a route into the table, if it is not there, and returns its index.

        Raises:
            ValueError: for a route of another map.
        """
        index, is_new = self._routes.index(route)
        if is_new:
            self._bind()
        return index

    def reset(self, rows: Ints, specs: list[EpisodeSpec]) -> None:
        """Starts one episode in each of these rows.

        Args:
            rows: distinct row indices, (N,).
            specs: what to start in each, N long.

        Raises:
            ValueError: for row indices the world does not have, numbers that do not match,
                or a start that is not on the route or not finite.
        """
        rows = self._check_rows(rows)
        if len(specs) != len(rows):
            raise ValueError(
                f"reset needs one spec per row, got {len(rows)} rows, {len(specs)} specs"
            )
        placements = stepping.placements(rows)
        for placement, spec in zip(placements, specs, strict=True):
            start = spec.start
            _check_start(spec)
            placement["route"] = self.prepare(spec.route)
            placement["s"] = start.s
            placement["lateral_error"] = start.lateral_error
            placement["heading_error"] = start.heading_error
            placement["speed"] = start.speed
        self._step[rows] = 0
        self._seed[rows] = [spec.seed for spec in specs]
        self._place(placements)
        self._begun[rows] = True
        self._all_begun = bool(self._begun.all())

    def place(
        self,
        rows: Ints,
        x: Floats,
        y: Floats,
        heading: Floats,
        speed: Floats,
        z: Floats | None = None,
    ) -> None:
        """Puts egos somewhere else in the world and looks for them afresh on their routes.

        Their episodes, seeds and step counters go on; actuators are released.

        Args:
            rows: distinct rows that have been reset, (N,).
            x: world frame, (N,) or one for all [m].
            y: (N,) [m].
            heading: (N,) [rad].
            speed: >= 0, (N,) [m/s].
            z: height, where roads cross over each other; None takes the route's, (N,) [m].

        Raises:
            ValueError: for values that are not finite, or a speed out of range.
            RuntimeError: for a row that has never been reset.
        """
        rows = self._check_rows(rows)
        self._check_begun(rows, "place")
        placements = stepping.placements(rows)
        placements["route"] = self._progress["route"][rows]
        given = {"x": x, "y": y, "heading": heading, "speed": speed}
        if z is not None:
            given["z"] = z
        for name, value in given.items():
            placements[name] = value
            _check_finite(name, placements[name])
        for value in placements["speed"]:
            _check_speed(float(value))
        self._place(placements)

    def _place(self, placements: Records) -> None:
        stepping.place_rows(
            0,
            len(placements),
            placements,
            self._ego,
            self._progress,
            self._weather,
            self._routes.arrays,
            self._ground,
        )

    def step(self, control: Records) -> None:
        """Drives every row by one step of dt.

        Args:
            control: (B,) CONTROL.

        Raises:
            RuntimeError: when a row has never been reset.
            ValueError: for a control that no vehicle can execute; no row has moved then.
        """
        if not self._all_begun:
            self._check_begun(np.arange(self._n_rows), "step")
        if control.dtype != CONTROL or control.shape != (self._n_rows,):
            check_control(control, self._n_rows, self._step)
        if not control.flags.c_contiguous:
            control = np.ascontiguousarray(control)
        if stepping.first_invalid(0, self._n_rows, control) >= 0:
            check_control(control, self._n_rows, self._step)
        kernels.run(
            stepping.step_rows, self._n_rows, control, *self._arguments, min_rows=_ROWS_PER_THREAD
        )

    def snapshot(self, rows: Ints) -> Snapshot:
        """Copies the full state of these rows.

        Raises:
            RuntimeError: for a row that has never been reset.
        """
        rows = self._check_rows(rows, distinct=False)
        self._check_begun(rows, "snapshot")
        return Snapshot(
            map_hash=self.network.hash,
            dt=self.dt,
            ego=self._ego[rows],
            progress=self._progress[rows],
            weather=self._weather[rows],
            step=self._step[rows],
            seed=self._seed[rows],
            routes=tuple(self._routes.routes[i] for i in self._progress["route"][rows]),
        )

    def restore(self, snapshot: Snapshot, rows: Ints) -> None:
        """Puts a snapshot into these rows, which may be others than it was taken from.

        Another world may be given it too, if it holds the same map at the same dt.

        Raises:
            ValueError: for another number of rows, another map or another dt.
        """
        rows = self._check_rows(rows)
        if len(rows) != len(snapshot.ego):
            raise ValueError(f"the snapshot holds {len(snapshot.ego)} rows, got {len(rows)}")
        if snapshot.map_hash != self.network.hash or snapshot.dt != self.dt:
            raise ValueError(
                f"the snapshot is of map {snapshot.map_hash[:12]} at dt {snapshot.dt} s, "
                f"this world holds {self.network.hash[:12]} at dt {self.dt} s"
            )
        self._ego[rows] = snapshot.ego
        self._progress[rows] = snapshot.progress
        self._weather[rows] = snapshot.weather
        self._step[rows] = snapshot.step
        self._seed[rows] = snapshot.seed
        self._progress["route"][rows] = [self.prepare(route) for route in snapshot.routes]
        self._begun[rows] = True
        self._all_begun = bool(self._begun.all())

    def _check_rows(self, rows: Ints, distinct: bool = True) -> Ints:
        rows = np.atleast_1d(np.asarray(rows))
        if len(rows) == 0:
            return np.zeros(0, np.int64)
        if rows.ndim != 1 or not np.issubdtype(rows.dtype, np.integer):
            raise ValueError(
                f"rows must be a list of row indices, got dtype {rows.dtype} "
                f"and shape {rows.shape}; for a mask use np.flatnonzero(mask)"
            )
        bad = (rows < 0) | (rows >= self._n_rows)
        if bad.any():
            raise ValueError(f"rows must be in [0, {self._n_rows - 1}], got {rows[bad][0]}")
        if distinct and len(rows) > 1 and len(set(rows.tolist())) < len(rows):
            raise ValueError(f"rows must be distinct, got {rows.tolist()}")
        return rows

    def _check_begun(self, rows: Ints, action: str) -> None:
        waiting = rows[~self._begun[rows]]
        if len(waiting):
            raise RuntimeError(
                f"Cannot call {action}() before reset(): row {int(waiting[0])} has no episode; "
                "reset every row first"
            )


def _check_start(spec: EpisodeSpec) -> None:
    start = spec.start
    for name in ("s", "lateral_error", "heading_error"):
        value = getattr(start, name)
        if not math.isfinite(value):
            raise ValueError(f"start.{name} must be finite, got {value}")
    if not 0.0 <= start.s <= spec.route.length:
        raise ValueError(
            f"start.s must be on route {spec.route.id!r}, in [0, {spec.route.length:.3f}] m, "
            f"got {start.s}"
        )
    _check_speed(start.speed)


def _check_speed(speed: float) -> None:
    if not 0.0 <= speed <= vehicle.MAX_SPEED:
        raise ValueError(f"speed must be in [0, {vehicle.MAX_SPEED:g}] m/s, got {speed}")


def _check_finite(name: str, values: Floats) -> None:
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite, got {values[~np.isfinite(values)][0]}")
