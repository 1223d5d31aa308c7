"""Plays the scenarios of one world: a fold over the state of its scripts and roles.

A script first sets its actors in their places, out of reach; the ego triggers it, which lets
its roles begin, sets a light, or shakes the ego's controls; past its end it is over, and those
who are under way still go to the end of theirs.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from drive_il import kernels
from drive_il.actors import Gait, Mover, VehicleLight
from drive_il.datatypes import Ints, Records
from drive_il.keyed_noise import noise_key, normal_at, uniform_at
from drive_il.maps import lane_queries
from drive_il.randomness import purpose_key
from drive_il.scenarios.script import WALKER_KIND, Ending, Noise, Pace, Start
from drive_il.sim.following import FAR
from drive_il.sim.lights import set_phase
from drive_il.sim.programs import Act, Part
from drive_il.sim.roles import (
    UNSETTLED,
    appear,
    arrival,
    follow_path,
    gap_ahead,
    halt,
    vacate,
    walk,
)
from drive_il.sim.spawning import join

_FLOW, _NOISE = purpose_key("scenario flow"), purpose_key("control loss")
_JITTER = purpose_key("control loss, each step")
_AHEAD, _SET, _RUNNING, _OVER = (int(act) for act in Act)
_ABSENT, _WAITING, _MOVING, _STOPPING, _HOLDING, _ARRIVED, _DONE = (int(part) for part in Part)
_NEVER, _APPEARING, _TRIGGER, _NEAR, _IN_TIME, _IN_FLOW = (int(start) for start in Start)
_CALM, _HELD = int(Noise.NONE), int(Noise.HELD)
_STEADY, _MEETING, _LEADING = (int(pace) for pace in Pace)
_STAY, _VANISH, _JOIN = (int(ending) for ending in Ending)
_TRAFFIC, _SCRIPT, _NOBODY = int(Mover.TRAFFIC), int(Mover.SCRIPT), int(Mover.NOBODY)
_TOLD = int(Gait.SCRIPTED)
_EARLY = 2.0  # [m] before its trigger point a script is triggered, as in CARLA
_MISSED = 20.0  # [m] behind it the ego has missed it
_TIMEOUT = 240.0  # [s] CARLA's
_SOURCE = 6.0  # [m] around its beginning that must be free before a flow goes on
_ON_PATH = 2.4  # [m] beside a path an ego is on it, or about to be
_KEPT_GAP, _KEPT_TIME = 11.0, 1.2  # [m], [s] from centre to centre in front of the ego
_WAITS, _DAWDLE = 60.0, 2.0  # [m] so far ahead a leader waits for the ego, [m/s] nearer not
_BRISK = 5.0  # [m/s] below this a leader's braking is not hard
_GIVES_UP = 20.0  # [s] a leader that was never so fast drives on
_ALONG = 0.7  # cosine between a vehicle and the lane that it joins, at least
_LIGHTS_ON = int(VehicleLight.LOW_BEAM) | int(VehicleLight.POSITION)
_ASIDE = 1.6  # [m] beside the ego's route traffic is on its lane


class Stage(NamedTuple):
    """One world's scenarios in one step.

    Attributes:
        scripts: (K,) SCRIPT of its program.
        roles: (R,) ROLE.
        points: (N,) PATH_POINT.
        acts: (K,) SCRIPT_STATE, and more that are not used.
        parts: (R,) ROLE_STATE, and more that are not used.
        vehicles: (V,) VEHICLE.
        drivers: (V,) DRIVER.
        walkers: (P,) WALKER.
        seats: first seat of the program's vehicles, one past the last, and the same of its
            walkers, (4,).
        next_id: the next free id of each world, (W,).
        world: which this is.
    """

    scripts: Records
    roles: Records
    points: Records
    acts: Records
    parts: Records
    vehicles: Records
    drivers: Records
    walkers: Records
    seats: Ints
    next_id: Ints
    world: int


@kernels.device
def play(egos: Any, row: int, around: Any, world: int, map_: Any, dt: float) -> tuple[float, float]:
    """Plays one step of the scenarios of one world's first ego.

    Args:
        egos: see stepping.Egos.
        row: of the ego.
        around: see stepping.Surroundings.
        world: which.
        map_: see stepping.Map.
        dt: [s]; 0 sets up what is there from the beginning.

    Returns:
        What is added to the ego's pedals and to its steer.
    """
    programs, at, ego = map_.programs, egos.progress[row], egos.ego[row]
    head = programs.routes[at.route]
    stage = Stage(
        programs.scripts[head.script_first : head.script_first + head.script_count],
        programs.roles[head.role_first : head.role_first + head.role_count],
        programs.points[head.point_first : head.point_first + head.point_count],
        around.scripts[world],
        around.roles[world],
        around.vehicles[world],
        around.drivers[world],
        around.walkers[world],
        around.seats[world],
        around.next_id,
        world,
    )
    seed, pedals, steer = egos.seed[row], 0.0, 0.0
    lights = around.lights[world]
    at.oncoming, at.emergency, egos.events[row].scenario_timeout = False, 0, -1
    for k in range(len(stage.scripts)):
        act, script = stage.acts[k], stage.scripts[k]
        if act.act < _OVER:
            if act.act == _AHEAD and at.s >= script.appear_s:
                _set_up(stage, k, at, map_, seed)
            if act.act == _SET:
                _trigger(stage, k, at, around.cycles[world], lights, map_, around.signals[world])
            elif act.act == _RUNNING:
                _run(stage, k, at, egos.events[row], around.cycles[world], dt)
            if act.act == _RUNNING and script.flow_high > 0.0:
                _keep_off(stage, k)
                _release(stage, k, ego, map_, seed)
            at.oncoming |= act.act == _RUNNING and script.oncoming
            if act.act == _RUNNING and script.yield_to >= 0:
                at.emergency = stage.parts[script.role_first + script.yield_to].id
            if act.act == _RUNNING and script.noise != _CALM:
                shaken = _shake(script, k, seed, egos.step[row])
                pedals += shaken[0]
                steer += shaken[1]
        if act.act > _AHEAD:
            for r in range(script.role_first, script.role_first + script.role_count):
                _step_role(stage, k, r, ego, at, map_, seed, dt)
                role = stage.roles[r]
                if role.kind != WALKER_KIND:
                    vehicle = stage.vehicles[stage.seats[0] + role.seat]
                    if vehicle.off_road == UNSETTLED:
                        lane_queries.settle(map_.ground, vehicle)
    return pedals, steer


@kernels.inner
def _shake(script: Any, k: int, seed: Any, step: int) -> tuple[float, float]:
    """What a script adds to the ego's pedals and steer, see script.Noise."""
    once = noise_key(seed, k, _NOISE)
    if script.noise == _HELD:
        size = abs(normal_at(once, 0))
        pedals = script.pedal_mean + size * script.pedal_noise
        return pedals, max(script.steer_mean + size * script.steer_noise, 0.0)
    pedals = script.pedal_mean if uniform_at(once, 0) < 0.5 else -script.pedal_mean
    steer = script.steer_mean if uniform_at(once, 1) < 0.5 else -script.steer_mean
    key = noise_key(seed, step, _JITTER)
    pedals += script.pedal_noise * normal_at(key, 2 * k)
    return pedals, steer + script.steer_noise * normal_at(key, 2 * k + 1)


@kernels.device
def _set_up(stage: Any, k: int, at: Any, map_: Any, seed: Any) -> None:
    """Puts the actors of a script in their places."""
    script, act = stage.scripts[k], stage.acts[k]
    act.act, act.last, act.released, act.held = _SET, -1, 0, -1
    act.since, act.gap = 0.0, 0.0
    if at.s > script.trigger_s + _MISSED:
        act.act = _OVER
        return
    if script.clear_to > at.s:
        _clear_lane(stage, at, map_.routes, script.clear_to)
    for r in range(script.role_first, script.role_first + script.role_count):
        part, role = stage.parts[r], stage.roles[r]
        part.part, part.s, part.timer = _ABSENT, 0.0, 0.0
        if role.start != _IN_FLOW:
            appear(stage, r, map_, seed)


@kernels.device
def _clear_lane(stage: Any, at: Any, routes: Any, upto: float) -> None:
    """Takes away traffic that would queue between the ego and what it is to meet."""
    points, first = routes[0], routes[1][at.route]
    last = first + routes[2][at.route]
    for v in range(len(stage.vehicles)):
        vehicle = stage.vehicles[v]
        if vehicle.id == 0 or vehicle.mover != _TRAFFIC:
            continue
        i = first + at.index
        while i < last and points[i].s <= upto:
            dx, dy = vehicle.x - points[i].x, vehicle.y - points[i].y
            if dx * dx + dy * dy < _ASIDE * _ASIDE and abs(vehicle.z - points[i].z) < 3.0:
                if points[i].s > at.s:
                    vacate(stage.vehicles, stage.drivers, v)
                break
            i += 1


@kernels.device
def _trigger(
    stage: Any, k: int, at: Any, cycles: Records, lights: Ints, map_: Any, signals: bool
) -> None:
    """Begins a script when the ego has come to its trigger point."""
    script, act = stage.scripts[k], stage.acts[k]
    if at.s < script.trigger_s - _EARLY:
        return
    act.act = _RUNNING
    if script.signal >= 0 and signals:
        junction = set_phase(map_.phases, cycles, lights, script.signal, script.light)
        if junction >= 0 and script.hold_light and not cycles[junction].frozen:
            cycles[junction].frozen = True
            act.held = junction


@kernels.device
def _run(stage: Any, k: int, at: Any, events: Any, cycles: Records, dt: float) -> None:
    """Lets time pass for a script; ends it."""
    script, act = stage.scripts[k], stage.acts[k]
    act.since += dt
    if at.s > script.end_s or act.since > _TIMEOUT:
        act.act = _OVER
        if at.s <= script.end_s:
            events.scenario_timeout = script.scenario
        if act.held >= 0:
            cycles[act.held].frozen = False
            act.held = -1


@kernels.inner
def _is_near(other: Any, source: Any) -> bool:
    """Whether a vehicle is where a flow begins."""
    dx, dy = other.x - source.x, other.y - source.y
    reach = _SOURCE + 0.5 * other.length
    return bool(
        other.id != 0 and dx * dx + dy * dy < reach * reach and abs(other.z - source.z) < 3.0
    )


@kernels.inner
def _at_source(stage: Any, source: Any) -> bool:
    """Whether anybody is where a flow begins."""
    found = False
    for v in range(len(stage.vehicles)):
        found |= _is_near(stage.vehicles[v], source)
    return found


@kernels.device
def _keep_off(stage: Any, k: int) -> None:
    """Takes away traffic that comes to where a flow begins: the flow alone decides the gaps.

    CARLA's background activity does likewise: it sends nobody into the lanes of a flow, and
    nobody against the ego that must use the oncoming lane.
    """
    source = stage.points[stage.roles[stage.scripts[k].role_first].path_first]
    for v in range(len(stage.vehicles)):
        other = stage.vehicles[v]
        if other.mover != _TRAFFIC or not _is_near(other, source):
            continue
        if math.cos(other.heading - source.heading) > _ALONG:
            vacate(stage.vehicles, stage.drivers, v)


@kernels.device
def _release(stage: Any, k: int, ego: Any, map_: Any, seed: Any) -> None:
    """Lets the next of a flow set out when the last is far enough and the way is free."""
    script, act = stage.scripts[k], stage.acts[k]
    free = -1
    for r in range(script.role_first, script.role_first + script.role_count):
        if stage.parts[r].part == _ABSENT:
            free = r
            break
    if free < 0:
        return
    role = stage.roles[free]
    if act.last >= 0 and stage.parts[act.last].part == _MOVING:
        ahead = stage.vehicles[stage.seats[0] + stage.roles[act.last].seat]
        if stage.parts[act.last].s < act.gap + ahead.length:
            return
    if _at_source(stage, stage.points[role.path_first]):
        return
    if _meets(stage, role, ego):
        return
    appear(stage, free, map_, seed)
    vehicle = stage.vehicles[stage.seats[0] + role.seat]
    vehicle.speed = role.speed
    part = stage.parts[free]
    part.part, part.timer = _MOVING, 0.0
    share = uniform_at(noise_key(seed, act.released, _FLOW), k)
    act.gap = script.flow_low + (script.flow_high - script.flow_low) * share
    act.last = free
    act.released += 1


@kernels.inner
def _meets(stage: Any, role: Any, ego: Any) -> bool:
    """Whether the ego comes towards a role's source on the role's own path.

    It saw nobody when it moved over to pass something: nobody may appear before it then.
    """
    last = role.path_first + role.path_count
    best, found = 1e18, -1
    for i in range(role.path_first, last):
        dx, dy = ego.x - stage.points[i].x, ego.y - stage.points[i].y
        square = dx * dx + dy * dy
        if square < best:
            best, found = square, i
    point = stage.points[found]
    cos, sin = math.cos(point.heading), math.sin(point.heading)
    beside = cos * (ego.y - point.y) - sin * (ego.x - point.x)
    return bool(
        best < _ON_PATH * _ON_PATH
        and abs(beside) < _ON_PATH
        and math.cos(ego.heading - point.heading) < -_ALONG
    )


@kernels.device
def _step_role(
    stage: Any, k: int, r: int, ego: Any, at: Any, map_: Any, seed: Any, dt: float
) -> None:
    """Lets one role act."""
    role, part, act = stage.roles[r], stage.parts[r], stage.acts[k]
    if part.part == _ABSENT or part.part == _DONE:
        return
    if not _is_ours(stage, r):  # removed, or handed to somebody else
        part.part = _DONE
        return
    if part.part == _ARRIVED:
        _finish(stage, r, map_, seed)
        return
    if part.part == _WAITING and _sets_out(stage, role, part, act, ego, at, dt):
        part.part, part.timer = _MOVING, 0.0
        if role.kind == WALKER_KIND:
            stage.walkers[stage.seats[2] + role.seat].gait = _TOLD
        elif role.start == _APPEARING:
            stage.vehicles[stage.seats[0] + role.seat].speed = min(ego.speed, role.speed)
    if part.part == _WAITING:
        return
    if role.kind == WALKER_KIND:
        walker = stage.walkers[stage.seats[2] + role.seat]
        if walk(stage, role, part, walker, dt):
            part.part = _DONE
        return
    v = stage.seats[0] + role.seat
    vehicle = stage.vehicles[v]
    if role.pace == _LEADING and part.part == _MOVING and act.act >= _RUNNING:
        if vehicle.speed >= min(_BRISK, 0.6 * role.speed):
            part.part = _STOPPING
        elif act.since > _GIVES_UP:
            part.part = _ARRIVED
            return
    if part.part == _STOPPING or part.part == _HOLDING:
        if halt(stage, role, part, vehicle, dt):
            part.part = _ARRIVED
        return
    wanted = _wanted(role, part, vehicle, ego, at)
    others = (FAR, 0.0, FAR, 0.0)
    if role.careful:
        others = gap_ahead(stage, role, part, v)
    if follow_path(stage, role, part, vehicle, wanted, others, dt):
        part.part = _ARRIVED


@kernels.inner
def _is_ours(stage: Any, r: int) -> bool:
    role, part = stage.roles[r], stage.parts[r]
    if role.kind == WALKER_KIND:
        return stage.walkers[stage.seats[2] + role.seat].id == part.id
    vehicle = stage.vehicles[stage.seats[0] + role.seat]
    fine = vehicle.mover == _SCRIPT or vehicle.mover == _NOBODY
    return vehicle.id == part.id and fine


@kernels.inner
def _sets_out(stage: Any, role: Any, part: Any, act: Any, ego: Any, at: Any, dt: float) -> bool:
    """Whether a waiting role begins now."""
    if role.start == _APPEARING:
        return True
    if role.start == _NEVER or act.act != _RUNNING:
        return False
    ready = role.start == _TRIGGER or act.since >= role.patience or part.timer > 0.0
    left = role.meet_s - at.s - 0.5 * ego.length
    if role.start == _NEAR or role.start == _IN_TIME:
        ready = ready or left <= role.near
    if role.start == _IN_TIME:
        ready = ready or left <= arrival(role) * ego.speed
    if not ready:
        return False
    part.timer += dt
    return part.timer >= role.delay


@kernels.inner
def _wanted(role: Any, part: Any, vehicle: Any, ego: Any, at: Any) -> float:
    """The speed that a role's pace asks for [m/s]."""
    if role.pace == _MEETING:
        left, ego_left = role.meet - part.s, role.meet_s - at.s
        if left <= 0.0:
            return role.speed
        if ego_left < role.near:
            return max(vehicle.speed, 0.5 * role.speed)
        wanted = left * max(ego.speed, 1.0) / ego_left
        return min(max(wanted, 0.4 * role.speed), 1.5 * role.speed)
    if role.pace == _LEADING:
        gap = role.meet_s + part.s - at.s
        kept = _KEPT_GAP + _KEPT_TIME * ego.speed
        # It waits for an ego that stays behind, but not where that waits for it to be gone.
        least = _DAWDLE if gap < _WAITS else 0.0
        return min(max(ego.speed + 0.5 * (kept - gap), least), role.speed)
    return role.speed


@kernels.device
def _finish(stage: Any, r: int, map_: Any, seed: Any) -> None:
    """Ends a role whose path is at its end."""
    role, part = stage.roles[r], stage.parts[r]
    v = stage.seats[0] + role.seat
    vehicle, driver = stage.vehicles[v], stage.drivers[v]
    part.part = _DONE
    if role.ending == _STAY:
        vehicle.speed, vehicle.acceleration, vehicle.yaw_rate = 0.0, 0.0, 0.0
        return
    if role.ending == _JOIN and vehicle.lane >= 0:
        roads = map_.roads
        lane = roads.lanes[vehicle.lane]
        point = roads.points[lane.first + min(int(vehicle.lane_s * lane.per_metre), lane.count - 1)]
        if math.cos(vehicle.heading - point.heading) > _ALONG:
            vehicle.lights = _LIGHTS_ON
            join(vehicle, driver, roads, seed)
            return
    vacate(stage.vehicles, stage.drivers, v)
    if role.start == _IN_FLOW:
        part.part = _ABSENT
