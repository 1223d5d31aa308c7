"""B worlds on one map, stepped together.

Every world is on its own: its result depends on its episode specs and its controls, never
on how many there are, its place, the other worlds or the number of threads. A row is one
ego; a world holds one ego unless it is made with more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from drive_il import kernels
from drive_il.actors import Traffic
from drive_il.datatypes import (
    CONTROL,
    PROGRESS,
    WEATHER,
    Actors,
    Array,
    Bools,
    EpisodeSpec,
    Floats,
    Ints,
    Records,
    Route,
    Scene,
    check_control,
    no_events,
)
from drive_il.maps.ground import ground
from drive_il.maps.network import RoadNetwork
from drive_il.past import n_past_steps, no_past
from drive_il.sim import memory, stepping, vehicle
from drive_il.sim.actors_api import LiveActors
from drive_il.sim.edges import edges_of
from drive_il.sim.lights import phases_of
from drive_il.sim.models import MODELS, PAINTS
from drive_il.sim.obstacles import obstacles_of
from drive_il.sim.pavements import pavements_of
from drive_il.sim.population import Population, room_for
from drive_il.sim.program_table import Programs
from drive_il.sim.roads import roads_of
from drive_il.sim.routes import Routes
from drive_il.sim.world_arrays import PER_VEHICLE, PER_WALKER, empty_worlds, put

_MAX_DT = 0.5  # [s]
_ROWS_PER_THREAD = 256  # a step of fewer rows is over before a second thread has begun


@dataclass(frozen=True)
class Snapshot:
    """The full state of some rows, to be put back with `World.restore`.

    Attributes:
        map_hash: of the map it was taken on.
        dt: step length of the world it was taken from [s].
        rows: name -> one item per row, (N, ...).
        worlds: name -> one item per world of these rows, (N / egos, ...).
        routes: route of each row, N long.
    """

    map_hash: str
    dt: float
    rows: Mapping[str, Array]
    worlds: Mapping[str, Array]
    routes: tuple[Route, ...]


class World(LiveActors):
    """B egos in W worlds on one map; see `drive_il.protocols.World` for the contract.

    Args:
        network: the map.
        n_rows: B; row r is ego r % egos of world r // egos.
        routes: routes to prepare; others are prepared when an episode first needs them.
        dt: step length, in (0, 0.5] [s].
        egos: vehicles per world that are driven from outside as rows of their own. What
            else is in a world is decided by the spec of its first ego, whose reset starts
            the whole world afresh; the others enter the running world.
        history: for how long the scene's `past` reaches back, for sensors that show it
            (`ObservationSpec.history`); 0 remembers nothing and costs nothing [s].

    Raises:
        ValueError: for no rows, rows that do not fill their worlds, a dt out of range, or a
            route of another map.
    """

    def __init__(
        self,
        network: RoadNetwork,
        n_rows: int,
        routes: Sequence[Route] = (),
        dt: float = 0.05,
        egos: int = 1,
        history: float = 0.0,
    ) -> None:
        if n_rows < 1:
            raise ValueError(f"a world needs at least one row, got n_rows={n_rows}")
        if egos < 1 or n_rows % egos:
            raise ValueError(f"n_rows must be a multiple of egos, got {n_rows} rows, {egos} egos")
        if not 0.0 < dt <= _MAX_DT:
            raise ValueError(f"dt must be in (0, {_MAX_DT}] seconds, got {dt}")
        self.network = network
        self.dt = float(dt)
        self._n_rows, self._egos = int(n_rows), int(egos)
        self._rows: dict[str, Array] = {
            "ego": vehicle.standing(n_rows),
            "progress": np.zeros(n_rows, PROGRESS),
            "weather": np.zeros(n_rows, WEATHER),
            "step": np.zeros(n_rows, np.int64),
            "seed": np.zeros(n_rows, np.uint64),
            "events": no_events(n_rows),
        }
        self._rows["ego"]["id"] = np.arange(n_rows) % egos + 1
        self._worlds = empty_worlds(network, n_rows // egos, egos)
        self._n_past = n_past_steps(history, self.dt)
        if self._n_past:
            self._rows |= memory.row_memory(n_rows, self._n_past)
            self._worlds |= memory.world_memory(self._worlds, self._n_past)
        self._begun: Bools = np.zeros(n_rows, np.bool_)
        self._all_begun = False
        self._roads = roads_of(network)
        self._population = Population(network, self._roads)
        self._routes, self._programs = Routes(network, routes), Programs(network)
        self._programs.follow(self._routes.routes)
        self._bind()

    def _bind(self) -> None:
        """Points the scene and the kernels' arguments at the present arrays."""
        rows, worlds = self._rows, self._worlds
        if self._n_past:
            memory.fit(worlds)
        index = np.arange(self._n_rows, dtype=np.int32)
        self._scene = Scene(
            rows["ego"],
            rows["progress"],
            rows["weather"],
            rows["step"],
            rows["seed"],
            self._routes.table,
            self.dt,
            Actors(
                worlds["vehicles"],
                worlds["walkers"],
                worlds["lights"],
                index // np.int32(self._egos),
                index % np.int32(self._egos),
            ),
            rows["events"],
            memory.past(rows, worlds) if self._n_past else no_past(self._n_rows),
        )
        self._held = stepping.hold(
            stepping.Arrays(
                stepping.Egos(*(rows[name] for name in stepping.Egos._fields)),
                stepping.Surroundings(*(worlds[name] for name in stepping.Surroundings._fields)),
                stepping.Map(
                    self._routes.arrays,
                    ground(self.network),
                    self._roads,
                    phases_of(self.network),
                    MODELS,
                    pavements_of(self.network),
                    obstacles_of(self.network),
                    edges_of(self.network),
                    PAINTS,
                    self._programs.arrays,
                ),
            )
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
            self._programs.follow(self._routes.routes)
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
        for row, placement, spec in zip(rows.tolist(), placements, specs, strict=True):
            start = spec.start
            _check_start(spec)
            route = self.prepare(spec.route)
            placement["route"] = route
            placement["s"] = start.s
            placement["lateral_error"] = start.lateral_error
            if row % self._egos == 0 and start.s == 0.0:  # a scenario may have parked it
                placement["lateral_error"] += self._programs.arrays.routes["parked"][route]
            placement["heading_error"] = start.heading_error
            placement["speed"] = start.speed
        self._rows["step"][rows] = 0
        self._rows["seed"][rows] = [spec.seed for spec in specs]
        self._rows["events"][rows] = no_events(1)
        self._place(placements)
        self._start(rows, specs)
        if self._n_past:
            memory.forget(self._rows, self._worlds, rows)
        self._begun[rows] = True
        self._all_begun = bool(self._begun.all())

    def _start(self, rows: Ints, specs: list[EpisodeSpec]) -> None:
        """Starts the worlds whose first egos are among these rows: lights and traffic."""
        first = [k for k, row in enumerate(rows.tolist()) if row % self._egos == 0]
        if not first:
            return
        worlds = rows[first] // self._egos
        traffic = [specs[k].traffic for k in first]
        programs = self._programs.arrays.routes[self._rows["progress"]["route"][rows[first]]]
        self._seat(worlds, traffic, programs)
        seeds = self._rows["seed"][rows[first]]
        signals = np.array([one.signals for one in traffic])
        index = np.asarray(worlds, np.int64)
        stepping.start_worlds(0, len(index), index, self._held, seeds, signals)
        self._worlds["slippery"][worlds] = [one.slippery for one in traffic]
        for world, one, seed in zip(worlds.tolist(), traffic, seeds.tolist(), strict=True):
            if not one.is_empty:
                self._population.fill(self._worlds, world, one, seed, self._egos)
        index = index[programs["script_count"] > 0]
        if len(index):
            stepping.start_scenarios(0, len(index), index, self._held)

    def _seat(self, worlds: Ints, traffic: list[Traffic], programs: Records) -> None:
        """Empties worlds, and makes room for what their episodes ask for.

        Traffic has the slots after the egos, scenarios those after them; whoever comes later
        sits further back, so that nobody's place depends on the other worlds.
        """
        seats = np.zeros((len(worlds), 4), np.int32)
        seats[:, 0] = [room_for(one, self._egos) for one in traffic]
        seats[:, 2] = [one.walkers for one in traffic]
        seats[:, 1] = seats[:, 0] + programs["vehicles"]
        seats[:, 3] = seats[:, 2] + programs["walkers"]
        room = {name: (int(seats[:, 1].max()),) for name in PER_VEHICLE}
        room |= {name: (int(seats[:, 3].max()),) for name in PER_WALKER}
        room |= {"scripts": (int(programs["script_count"].max()),)}
        self._make_room(room | {"roles": (int(programs["role_count"].max()),)})
        for name in PER_VEHICLE:
            self._worlds[name][worlds, self._egos :] = np.zeros((), self._worlds[name].dtype)
        for name in (*PER_WALKER, "busy", "waits", "scripts", "roles"):
            self._worlds[name][worlds] = np.zeros((), self._worlds[name].dtype)
        self._worlds["seats"][worlds] = seats
        self._worlds["next_id"][worlds] = seats[:, 0] + seats[:, 2] + 1

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
        placements["route"] = self._rows["progress"]["route"][rows]
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
            self._rows["ego"],
            self._rows["progress"],
            self._rows["weather"],
            self._routes.arrays,
            ground(self.network),
        )
        rows = placements["row"]
        self._worlds["vehicles"][rows // self._egos, rows % self._egos] = self._rows["ego"][rows]

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
            check_control(control, self._n_rows, self._rows["step"])
        if not control.flags.c_contiguous:
            control = np.ascontiguousarray(control)
        if stepping.first_invalid(0, self._n_rows, control) >= 0:
            check_control(control, self._n_rows, self._rows["step"])
        if self._n_past:
            memory.remember(self._rows, self._worlds)
        kernels.run(
            stepping.step_worlds,
            self._n_rows // self._egos,
            control,
            self._held,
            self.dt,
            min_rows=_ROWS_PER_THREAD,
            checked=True,  # the control above, our own arrays where they are bound
        )

    def snapshot(self, rows: Ints) -> Snapshot:
        """Copies the full state of these rows.

        Raises:
            RuntimeError: for a row that has never been reset.
        """
        rows = self._check_rows(rows, distinct=False)
        self._check_begun(rows, "snapshot")
        worlds = self._worlds_of(rows)
        routes = self._rows["progress"]["route"][rows]
        return Snapshot(
            map_hash=self.network.hash,
            dt=self.dt,
            rows={name: array[rows] for name, array in self._rows.items()},
            worlds={name: array[worlds] for name, array in self._worlds.items()},
            routes=tuple(self._routes.routes[i] for i in routes),
        )

    def restore(self, snapshot: Snapshot, rows: Ints) -> None:
        """Puts a snapshot into these rows, which may be others than it was taken from.

        Another world may be given it too, if it holds the same map at the same dt.

        Raises:
            ValueError: for another number of rows, another map or another dt.
        """
        rows = self._check_rows(rows)
        if len(rows) != len(snapshot.routes):
            raise ValueError(f"the snapshot holds {len(snapshot.routes)} rows, got {len(rows)}")
        if snapshot.map_hash != self.network.hash or snapshot.dt != self.dt:
            raise ValueError(
                f"the snapshot is of map {snapshot.map_hash[:12]} at dt {snapshot.dt} s, "
                f"this world holds {self.network.hash[:12]} at dt {self.dt} s"
            )
        if memory.n_steps(snapshot.rows) != self._n_past:
            raise ValueError(
                f"the snapshot remembers {memory.n_steps(snapshot.rows)} steps, this world "
                f"{self._n_past}; make both worlds with the same history"
            )
        worlds = self._worlds_of(rows)
        for name, array in snapshot.rows.items():
            self._rows[name][rows] = array
        self._make_room({name: array.shape[1:] for name, array in snapshot.worlds.items()})
        for name, array in snapshot.worlds.items():
            put(self._worlds[name], worlds, array)
        self._rows["progress"]["route"][rows] = [self.prepare(route) for route in snapshot.routes]
        self._begun[rows] = True
        self._all_begun = bool(self._begun.all())

    def _worlds_of(self, rows: Ints) -> Ints:
        """Returns the world of each group of rows, which must be whole worlds in order."""
        if self._egos == 1:
            return rows
        order = np.arange(self._egos)
        n_worlds, rest = divmod(len(rows), self._egos)
        groups = np.asarray(rows)[: n_worlds * self._egos].reshape(n_worlds, self._egos)
        if rest or (groups != groups[:, :1] + order).any() or (groups[:, 0] % self._egos).any():
            raise ValueError(
                f"worlds of {self._egos} egos are copied whole: give all rows of each world, in "
                f"order, got rows {rows.tolist()}"
            )
        return np.asarray(groups[:, 0] // self._egos)

    def _make_room(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Widens the arrays of the worlds so that items of these shapes fit."""
        grown = False
        for name, shape in shapes.items():
            old = self._worlds[name]
            if len(shape) and shape[0] > old.shape[1]:
                wider = np.zeros((old.shape[0], *shape), old.dtype)
                put(wider, np.arange(len(old)), old)
                self._worlds[name] = wider
                grown = True
        if grown:
            self._bind()

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
