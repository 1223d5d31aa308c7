"""The scripted planner: the lane centre of the route, the speed the road allows, the others.

A function of what the Scene shows, nothing else: the same Scene always gets the same label.
`road_law` steers and knows the road's speeds, and alone on the road nothing else acts.
`corridor` lays the strip to be driven, minds lights and signs and finds the next junction;
`passing` moves it around obstacles; `yielding` follows and gives way, by the forecasts of
`neighbours`. They only ever lower the acceleration.
"""

from __future__ import annotations

import math
from dataclasses import astuple
from typing import TypeAlias

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.actors import ROUTE_STOP, WALKER
from drive_il.datatypes import (
    CONTROL,
    PROGRESS,
    ROUTE_POINT,
    VEHICLE,
    Command,
    Floats,
    Ints,
    Records,
    Scene,
)
from drive_il.experts.corridor import (
    MAX_POINTS,
    PATH,
    PLAN,
    find_junction,
    lay,
    mind_signal,
    shift_at,
)
from drive_il.experts.neighbours import OTHER, STEP, STEPS, WAYS, Ways, no_ways, ways_of
from drive_il.experts.passing import (
    PASSING_STEP,
    edge_of,
    find_obstacles,
    find_standing,
    is_being_passed,
    is_beside_road,
    let_by,
    let_pass,
    move_over,
    slow_for_shift,
)
from drive_il.experts.road_law import (
    CONFIG,
    PlannerConfig,
    hold_back,
    pedals,
    steer,
    target_speed,
)
from drive_il.experts.yielding import (
    WALKER_REACH,
    Desk,
    concerns,
    halting,
    mind_vehicles,
    mind_walkers,
)
from drive_il.maps.network import RoadNetwork
from drive_il.maps.route_geometry import segment_at

_DEFAULT = PlannerConfig()
_WAIT_BEFORE = 9.0  # [m] it waits so far behind an obstacle, to be able to move over
_LEFT, _RIGHT = int(Command.CHANGELANELEFT), int(Command.CHANGELANERIGHT)
_BEYOND = 10.0  # [m] after it is back in its lane, in which others matter to one who passes
Road: TypeAlias = tuple[Records, Ints, Ints, Records, Ints, Ints]
"""Points, first and count of each route; stops, first and count."""
Actors: TypeAlias = tuple[Records, Records, Ints, Ints, Ints]
"""Vehicles, walkers and lights of each world; world and slot of each ego."""


def _given(item: kernels.NumbaType, n_axes: int = 1) -> kernels.NumbaType:
    """The type of an array that is only read: one from a file may not be written."""
    return nt.Array(item, n_axes, "C", readonly=True)


_ROAD = nt.Tuple(  # type: ignore[no-untyped-call]
    (
        _given(kernels.record(ROUTE_POINT)),
        _given(nt.int32),
        _given(nt.int32),
        _given(kernels.record(ROUTE_STOP)),
        _given(nt.int32),
        _given(nt.int32),
    )
)
_ACTORS = nt.Tuple(  # type: ignore[no-untyped-call]
    (
        _given(kernels.record(VEHICLE), 2),
        _given(kernels.record(WALKER), 2),
        _given(nt.uint8, 2),
        _given(nt.int32),
        _given(nt.int32),
    )
)


@kernels.device
def _look(config: np.record, ego: np.record, at: np.record, plan: np.record) -> None:
    """Starts a plan."""
    plan.s, plan.speed = at.s, ego.speed
    plan.half_length, plan.half_width = 0.5 * ego.length, 0.5 * ego.width
    plan.x, plan.y, plan.z = ego.x, ego.y, ego.z
    plan.cos, plan.sin = math.cos(ego.heading), math.sin(ego.heading)
    plan.reach = 40.0 + 3.0 * ego.speed + ego.speed * ego.speed / (2.0 * config.comfortable_braking)
    plan.hurry = 1.0 / (1.0 + max(at.standing / config.patience - 1.0, 0.0))
    plan.dt = STEP
    plan.most = config.max_acceleration
    plan.shift = 0.0
    plan.passes = plan.committed = False
    plan.conflict = False
    plan.ceiling = math.inf
    plan.astray_for = 3.0 * (config.look_ahead + config.look_ahead_time * ego.speed)
    mind_signal(config, plan, at)
    if plan.halt_s < math.inf:
        plan.ceiling = halting(config, plan, plan.halt_s)


@kernels.device
def _somebody_near(plan: np.record, at: np.record, actors: Actors, row: int) -> bool:
    vehicles, walkers, slot = actors[0][actors[3][row]], actors[1][actors[3][row]], actors[4][row]
    for v in range(len(vehicles)):
        if v == slot or vehicles[v].id == 0:
            continue
        if concerns(plan, vehicles[v]) or is_being_passed(plan, vehicles[v]):
            return True
        if abs(at.lateral_error) > 0.5 * at.lane_width:  # who comes from behind matters, too
            return True
    reach = plan.reach + WALKER_REACH
    for w in range(len(walkers)):
        dx, dy = walkers[w].x - plan.x, walkers[w].y - plan.y
        if walkers[w].id != 0 and dx * dx + dy * dy < reach * reach:
            return True
    return False


@kernels.device
def _consider(
    config: np.record,
    plan: np.record,
    at: np.record,
    road: Road,
    actors: Actors,
    row: int,
    ways: Ways,
    desk: Desk,
) -> None:
    """Lays the plan's path and lowers the ceiling for the others there."""
    low = road[1][at.route]
    high = low + road[2][at.route] - 1
    world = actors[3][row]
    plan.astray = at.lateral_error - shift_at(plan, plan.s)[0]
    lay(config, plan, road[0], low, high, low + at.index, desk[0])
    mind_vehicles(config, plan, actors[0][world], actors[4][row], actors[2][world], ways, desk)
    mind_walkers(config, plan, desk[0], actors[1][world], desk[3], desk[4])


@kernels.device
def _is_one_lane(points: Records, first: int, last: int) -> bool:
    """Whether a stretch of the route keeps to its lane."""
    for i in range(first, last + 1):
        if points[i].command == _LEFT or points[i].command == _RIGHT:
            return False
    return True


@kernels.device
def _mind_others(
    config: np.record,
    plan: np.record,
    at: np.record,
    road: Road,
    actors: Actors,
    row: int,
    ways: Ways,
    desk: Desk,
) -> None:
    """Sets the plan's shift and lowers its ceiling."""
    low, route = road[1][at.route], at.route
    high = low + road[2][route] - 1
    vehicles, slot = actors[0][actors[3][row]], actors[4][row]
    find_junction(plan, at, road[0], low, high, road[3], road[4][route], road[5][route])
    top = let_pass(plan, at, road[0][low + at.index].lane, ways, vehicles, slot)
    alone = float(min(plan.ceiling, max((top - plan.speed) / 2.0, -2.0)))
    plan.ceiling = alone
    if plan.shift != 0.0:
        _consider(config, plan, at, road, actors, row, ways, desk)
        if plan.conflict and not plan.committed:  # that lane is taken
            edge = edge_of(plan, at)
            plan.shift, plan.ceiling = max(min(plan.shift, edge), -edge), alone
            _consider(config, plan, at, road, actors, row, ways, desk)
        return
    plan.astray = 0.0
    path = desk[0]
    obstacles = (1.0, 0.0, 0.0, 0.0)
    if find_standing(vehicles, slot):
        lay(config, plan, road[0], low, high, low + at.index, path)
        obstacles = find_obstacles(config, plan, path, vehicles, slot)
    if obstacles[0] <= obstacles[1]:
        i = segment_at(road[0], low, high - low + 1, obstacles[0])
        is_one_lane = _is_one_lane(road[0], low + at.index, i)
        if move_over(config, plan, at, road[0][i].lane, is_one_lane, ways, obstacles):
            plan.dt, plan.most = PASSING_STEP, config.passing_push
            reach, plan.reach = plan.reach, max(plan.reach, plan.down_to - plan.s + _BEYOND)
            _consider(config, plan, at, road, actors, row, ways, desk)
            if plan.committed or not plan.conflict:
                plan.ceiling = min(plan.ceiling, slow_for_shift(config, plan))
                return
            plan.passes, plan.shift, plan.dt, plan.most = False, 0.0, STEP, config.max_acceleration
            plan.reach = reach
            plan.ceiling = min(alone, halting(config, plan, obstacles[0] - _WAIT_BEFORE))
    _consider(config, plan, at, road, actors, row, ways, desk)
    if is_beside_road(plan, at, road[0][low + at.index].lane, ways):
        let_by(config, plan, at.lane_width, path, vehicles, slot)


@kernels.kernel(
    nt.void(
        nt.int64,
        nt.int64,
        kernels.record(CONFIG)[::1],
        _given(kernels.record(VEHICLE)),
        _given(kernels.record(PROGRESS)),
        _ROAD,
        _ACTORS,
        WAYS,
        nt.float64,
        kernels.record(CONTROL)[::1],
        nt.float64[::1],
    )
)
def _control_rows(
    first_row: int,
    last_row: int,
    configs: Records,
    egos: Records,
    progresses: Records,
    road: Road,
    actors: Actors,
    ways: Ways,
    dt: float,
    control: Records,
    target: Floats,
) -> None:
    config = configs[0]
    points, first, count = road[0], road[1], road[2]
    plans = np.empty(1, PLAN)  # a record does not keep its array alive
    desk: Desk = (
        np.empty(MAX_POINTS, PATH),
        np.empty(1, OTHER),
        np.empty((STEPS + 1, 2)),
        np.empty(STEPS + 1),
        np.empty((STEPS + 1, 3)),
        np.empty((2, actors[0].shape[1]), np.int64),
    )
    for row in range(first_row, last_row):
        ego, at, plan = egos[row], progresses[row], plans[0]
        low = first[at.route]
        high = low + count[at.route] - 1
        _look(config, ego, at, plan)
        if _somebody_near(plan, at, actors, row):
            _mind_others(config, plan, at, road, actors, row, ways, desk)
        here = shift_at(plan, plan.s)
        there = shift_at(plan, plan.s + ego.speed * (config.lag + 0.5 * dt))
        aside = (here[0], here[1], here[2], there[2])
        control[row].steer, top = steer(config, ego, at, points, low, high, aside, dt)
        plan.ceiling = min(plan.ceiling, hold_back(config, ego.speed, top))
        target[row] = target_speed(config, ego.speed, at, points, low, high)
        pedals(config, ego.speed, target[row], plan.most, plan.ceiling, control[row])


class Planner:
    """The scripted planner as an `Expert`.

    Args:
        config: how it drives.
        network: the map. With it the planner knows where the lanes of the others lead, who
            has the right of way, and the lanes over which obstacles can be passed; without it
            others are expected to go on as they turn, and nothing is passed that asks for
            more than the lane.
    """

    def __init__(
        self, config: PlannerConfig = _DEFAULT, network: RoadNetwork | None = None
    ) -> None:
        self.config = config
        self._record = np.array([astuple(config)], CONFIG)
        self._ways = no_ways() if network is None else ways_of(network)

    def control(self, scene: Scene) -> Records:
        """Returns what the planner would do in each row, (B,) CONTROL."""
        return self._run(scene)[0]

    def target_speed(self, scene: Scene) -> Floats:
        """Returns the speed that the road asks for in each row, (B,) [m/s]."""
        return self._run(scene)[1]

    def _run(self, scene: Scene) -> tuple[Records, Floats]:
        control = np.zeros(scene.n_rows, CONTROL)
        target = np.zeros(scene.n_rows)
        routes, actors = scene.routes, scene.actors
        kernels.run(
            _control_rows,
            scene.n_rows,
            self._record,
            scene.ego,
            scene.progress,
            (
                routes.points,
                routes.first,
                routes.count,
                routes.stops,
                routes.stop_first,
                routes.stop_count,
            ),
            (actors.vehicles, actors.walkers, actors.lights, actors.world, actors.slot),
            self._ways,
            scene.dt,
            control,
            target,
            min_rows=64,
        )
        return control, target
