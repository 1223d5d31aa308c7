"""Each rule on hand-made drives: geometry, and thresholds just missed and just met."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drive_il.actors import LightState, Mover, ScenarioSpec, Struck
from drive_il.datatypes import VEHICLE, Actors, EpisodeSpec, Outcome, Scene
from drive_il.evaluation import criteria_route
from drive_il.evaluation.comfort import MOTION, comfort
from drive_il.evaluation.criteria_lanes import is_outside
from drive_il.evaluation.infractions import Kind
from drive_il.evaluation.judge import Judge
from drive_il.evaluation.protocol import (
    BENCH2DRIVE,
    CORL2017,
    LB1,
    LB20,
    LB21,
    NO_CRASH,
    Protocol,
    protocol_of,
    time_allowed,
)
from drive_il.evaluation.route_result import Ending, RouteResult
from drive_il.evaluation.sight import Ways, look
from drive_il.maps.network import SignalKind
from tests.drives import make_route
from tests.judging import (
    HALF_TURN,
    ROAD,
    ROUTE,
    SPEC,
    Change,
    Pose,
    among,
    count,
    judged,
    other,
    road,
    standing,
    state,
    straight,
)

LIGHT, SIGN = road(SignalKind.LIGHT), road(SignalKind.STOP)
LENIENT = replace(LB1, deviation=False)


def struck(at: dict[int, tuple[Struck, int]], impulse: float = 1.0) -> Change:
    """Contacts by step: with what, and its id."""

    def change(scene: Scene, step: int) -> None:
        if step in at:
            scene.events["struck"], scene.events["struck_id"] = at[step]
            scene.events["struck_speed"], scene.events["impulse_x"] = 1.0, impulse

    return change


def test_the_end_of_the_route_completes_it() -> None:
    result = judged(LB1, straight(0.0, 400.0))
    assert result.ending == Ending.COMPLETED
    assert result.completion == 100.0
    # 99 % of 400 m are passed, and the goal is less than 10 m away, at the point s = 397 m.
    assert result.duration == pytest.approx(397.0 / 10.0, abs=0.1)
    assert result.infractions == ()


def test_one_far_from_the_goal_has_not_completed_the_route() -> None:
    beside = judged(LENIENT, straight(0.0, 399.0, y=10.5))
    assert beside.ending == Ending.SIMULATION_CRASHED  # the drive was cut off
    assert beside.completion == pytest.approx(99.5, abs=0.3)


def test_at_most_two_points_are_passed_in_a_step() -> None:
    jump = [*straight(0.0, 50.0), *[(100.0, 0.0, 0.0, 10.0)] * 10]
    assert judged(LENIENT, jump).completion == pytest.approx(100 * (50 + 2 * 10) / 400, abs=0.3)


def test_a_short_cut_past_a_part_that_leads_away_does_not_count() -> None:
    """The route goes 100 m east and comes back; one turns round after 50 m."""
    route = make_route([(100, 0), (math.pi * 10, 0.1), (100, 0)])
    back = straight(50.0, 0.0, y=20.0, heading=HALF_TURN)
    result = judged(
        LENIENT, [*straight(0.0, 50.0), *back], spec=replace(SPEC, route=route), roads=ROAD
    )
    assert result.completion == pytest.approx(100 * 50 / route.length, abs=0.5)


def test_leaderboard_2_rounds_the_completion() -> None:
    route = replace(SPEC, route=make_route([(333, 0)]))
    one, two = (judged(rules, straight(0.0, 100.5), spec=route) for rules in (LB1, LB20))
    assert two.completion == round(one.completion, 2) != one.completion


@pytest.mark.parametrize(
    ("y", "ending"), [(29.9, Ending.SIMULATION_CRASHED), (30.1, Ending.DEVIATED)]
)
def test_a_drive_ends_30_m_from_the_route(y: float, ending: Ending) -> None:
    assert judged(LB1, [(5.0, 0.0, 0.0, 5.0), (5.0, y, 0.0, 5.0)]).ending == ending


def test_a_drive_ends_when_30_percent_of_it_are_far_from_the_route() -> None:
    near, far = judged(LB1, straight(0.0, 390.0, y=14.9)), judged(LB1, straight(0.0, 390.0, y=15.1))
    assert near.ending == Ending.SIMULATION_CRASHED
    assert far.ending == Ending.DEVIATED
    assert far.completion == pytest.approx(30.0, abs=1.0)
    assert count(far, Kind.DEVIATION) == 1


@pytest.mark.parametrize(("rules", "limit"), [(LB1, 180.0), (LB21, 180.0), (BENCH2DRIVE, 60.0)])
def test_standing_for_long_ends_a_drive(rules: Protocol, limit: float) -> None:
    def stands(scene: Scene, step: int) -> None:
        scene.progress["standing"] = limit - 0.05 + 0.05 * step

    result = judged(rules, standing(5.0, 1.0), stands)
    assert result.ending == Ending.BLOCKED
    assert [(one.kind, one.step) for one in result.infractions] == [(Kind.BLOCKED, 1)]


def test_time_allowed_for_a_route() -> None:
    assert time_allowed(LB1.time_limit, ROUTE) == pytest.approx(0.8 * 400 + 5)
    assert time_allowed(LB20.time_limit, ROUTE) == pytest.approx(300 + 400 / 1.39)
    assert time_allowed(NO_CRASH.time_limit, ROUTE) == pytest.approx(400 * 3.6 / 10)


def test_a_drive_ends_when_its_time_is_over() -> None:
    first = round(325.0 / 0.05) - 1
    result = judged(LB1, standing(5.0, 1.0), first_step=first)
    assert result.ending == Ending.TIMED_OUT
    assert [(one.kind, one.step) for one in result.infractions] == [(Kind.TIMEOUT, 6501)]
    assert judged(CORL2017, standing(5.0, 1.0), first_step=2880).infractions[0].step == 2881


@pytest.mark.parametrize("rules", [LB1, BENCH2DRIVE, CORL2017], ids=lambda one: one.id)
def test_the_judge_ends_a_drive_before_its_horizon(rules: Protocol) -> None:
    horizon = rules.steps_allowed(ROUTE, 0.05)
    result = judged(rules, standing(5.0, 0.5), first_step=horizon - 4)
    assert result.ending in (Ending.TIMED_OUT, Ending.TICKS)
    assert horizon - 2 <= round(result.duration / 0.05) <= horizon


def test_bench2drive_ends_after_4000_ticks_without_an_infraction() -> None:
    result = judged(BENCH2DRIVE, standing(5.0, 1.0), first_step=3999)
    assert (result.ending, result.duration) == (Ending.TICKS, pytest.approx(4001 * 0.05))
    assert result.infractions == ()


def test_contacts_are_classified_and_a_kerb_is_none() -> None:
    hits = {
        10: (Struck.VEHICLE, 4),
        40: (Struck.WALKER, 5),
        70: (Struck.STATIC, 0),
        100: (Struck.STATIC, 9),
    }
    result = judged(LB20, straight(0.0, 100.0), struck(hits))
    assert [one.kind for one in result.infractions] == [
        Kind.VEHICLE,
        Kind.PEDESTRIAN,
        Kind.LAYOUT,
        Kind.LAYOUT,
    ]
    assert [one.other for one in result.infractions] == [4, 5, 0, 9]
    kerb = judged(LB20, straight(0.0, 100.0), struck({70: (Struck.STATIC, 0)}, impulse=0.0))
    assert kerb.infractions == ()


def test_a_lasting_contact_counts_once() -> None:
    hits = {step: (Struck.VEHICLE, 4) for step in range(10, 60)}
    assert count(judged(LB1, straight(0.0, 50.0), struck(hits)), Kind.VEHICLE) == 1


@pytest.mark.parametrize(("later", "n"), [(99, 1), (101, 2)])
def test_the_same_actor_counts_again_after_5_s(later: int, n: int) -> None:
    hits = {10: (Struck.VEHICLE, 4), 10 + later: (Struck.VEHICLE, 4)}
    assert count(judged(LB1, straight(0.0, 100.0), struck(hits)), Kind.VEHICLE) == n


@pytest.mark.parametrize(("rules", "n"), [(LB1, 2), (LB20, 1)])
def test_places_of_collisions(rules: Protocol, n: int) -> None:
    """4 m further on another actor counts in leaderboard 1.0 (3 m), not in 2.x (5 m)."""
    hits = {10: (Struck.VEHICLE, 4), 18: (Struck.VEHICLE, 5)}
    assert count(judged(rules, straight(0.0, 50.0), struck(hits)), Kind.VEHICLE) == n


def test_a_place_is_forgotten_5_m_away() -> None:
    there_and_back = [*straight(0.0, 10.0), *straight(10.0, 4.0), *straight(4.0, 10.0)]
    hits = {20: (Struck.VEHICLE, 4), 44: (Struck.VEHICLE, 5)}
    assert count(judged(LB1, there_and_back, struck(hits)), Kind.VEHICLE) == 2
    hits = {20: (Struck.VEHICLE, 4), 24: (Struck.VEHICLE, 5)}
    assert count(judged(LB1, there_and_back, struck(hits)), Kind.VEHICLE) == 1


@pytest.mark.parametrize(("speed", "n"), [(0.09, 0), (0.11, 1)])
def test_leaderboard_2_does_not_charge_an_ego_that_stands(speed: float, n: int) -> None:
    poses = [(5.0, 0.0, 0.0, speed)] * 20
    hit = struck({10: (Struck.VEHICLE, 4)})
    assert count(judged(LB20, poses, hit), Kind.VEHICLE) == n
    assert count(judged(LB1, poses, hit), Kind.VEHICLE) == 1


def test_an_ego_that_a_collision_stopped_was_moving() -> None:
    poses = [*straight(0.0, 20.0), *standing(20.0, 1.0)]
    hit = struck({41: (Struck.STATIC, 0)})
    assert poses[41][3] == 0.0
    assert count(judged(LB20, poses, hit), Kind.LAYOUT) == 1


def test_nocrash_ends_with_a_collision_and_corl_does_not() -> None:
    hit = struck({10: (Struck.WALKER, 4)})
    ended = judged(NO_CRASH, straight(0.0, 400.0), hit)
    assert (ended.ending, ended.duration) == (Ending.COLLIDED, 0.5)
    assert judged(CORL2017, straight(0.0, 400.0), hit).ending == Ending.COMPLETED


def lit(red_from: int, red_to: int = 10**9) -> Change:
    """A light that is red in some steps, else green."""

    def change(scene: Scene, step: int) -> None:
        red = red_from <= step < red_to
        scene.actors.lights[:] = LightState.RED if red else LightState.GREEN

    return change


def red(poses: list[Pose], change: Change, rules: Protocol = LB20) -> int:
    return count(judged(rules, poses, change, LIGHT), Kind.RED_LIGHT)


# The tail segment of a 5 m car reaches from 2.0 to 3.5 m behind its centre: it is on the line
# at x = 100 m while the centre is between 102 m and 103.5 m.
_ON_LINE = (round(102.0 / 0.5), round(103.5 / 0.5))


@pytest.mark.parametrize(
    ("red_from", "red_to", "n"),
    [
        (0, 10**9, 1),
        (0, _ON_LINE[0], 0),
        (0, _ON_LINE[0] + 1, 1),
        (_ON_LINE[1], 10**9, 1),
        (_ON_LINE[1] + 1, 10**9, 0),
        (10**9, 10**9, 0),
    ],
)
def test_a_light_counts_while_the_tail_is_on_its_line(red_from: int, red_to: int, n: int) -> None:
    assert red(straight(0.0, 200.0), lit(red_from, red_to)) == n


def test_a_light_is_for_its_lane_and_its_direction() -> None:
    assert red(straight(0.0, 200.0, y=3.5), lit(0), LENIENT) == 0
    assert red(straight(200.0, 50.0, heading=HALF_TURN), lit(0), LENIENT) == 0


@pytest.mark.parametrize(("rules", "reach"), [(LB1, 0.4 * 3.5), (LB20, 0.6 * 3.5)])
def test_how_wide_a_stop_line_is(rules: Protocol, reach: float) -> None:
    inside, outside = reach - 0.05, reach + 0.05
    # What is more than half a lane beside is on no lane at all: nothing is wider than that.
    assert red(straight(0.0, 200.0, y=-min(inside, 1.7)), lit(0), rules) == 1
    assert red(straight(0.0, 200.0, y=-outside), lit(0), rules) == 0


def test_a_light_run_twice() -> None:
    """Driven back to the line within sight of it once more is one event, else two."""
    near = [*straight(50.0, 105.0), *straight(105.0, 95.0), *straight(95.0, 120.0)]
    far = [*straight(50.0, 105.0), *straight(105.0, 80.0), *straight(80.0, 120.0)]
    assert red(near, lit(0), LENIENT) == 1
    assert red(far, lit(0), LENIENT) == 2
    assert red(far, lit(0), replace(LENIENT, upstream_bugs=True)) == 1


def signs(rules: Protocol, halts_at: float | None, y: float = 0.0) -> int:
    if halts_at is None:
        poses = straight(0.0, 200.0, y=y)
    else:
        before, after = straight(0.0, halts_at), straight(halts_at, 200.0)
        poses = [*before, *standing(halts_at, 0.5), *after]
    return count(judged(rules, poses, roads=SIGN), Kind.STOP_SIGN)


# The box lies from 1.5 m before the line at 100 m to 1.5 m behind it, 1.2 times as far in 2.x.
@pytest.mark.parametrize(
    ("rules", "halts_at", "n"),
    [
        (LB20, None, 1),
        (LB20, 100.0 - 1.8 - 4.2, 1),
        (LB20, 100.0 - 3.8, 0),
        (LB20, 100.0 + 1.5, 0),
        (LB20, 100.0 + 2.5, 1),
        (LB1, None, 1),
        (LB1, 100.0 - 1.5 - 20.5, 1),
        (LB1, 100.0 - 1.5 - 19.5, 0),
        (LB1, 100.0 + 1.0, 0),
        (LB1, 100.0 + 2.0, 1),
    ],
)
def test_where_a_halt_serves_a_stop_sign(rules: Protocol, halts_at: float | None, n: int) -> None:
    assert signs(rules, halts_at) == n


def test_stop_signs_bind_where_signals_do_and_in_their_lane() -> None:
    assert signs(LENIENT, None, y=3.5) == 0
    lawless = replace(SPEC, traffic=replace(SPEC.traffic, signals=False))
    assert judged(LB20, straight(0.0, 200.0), roads=SIGN, spec=lawless).infractions == ()


def test_a_stop_sign_run_twice() -> None:
    near = [*straight(50.0, 108.0), *straight(108.0, 92.0), *straight(92.0, 108.0)]
    back = straight(120.0, 80.0, heading=HALF_TURN)
    far = [*straight(50.0, 120.0), *back, *straight(80.0, 120.0)]
    upstream = replace(LENIENT, upstream_bugs=True, stop_sign=LB20.stop_sign)
    right = replace(upstream, upstream_bugs=False)
    assert count(judged(right, near, roads=SIGN), Kind.STOP_SIGN) == 1
    assert count(judged(right, far, roads=SIGN), Kind.STOP_SIGN) == 2
    assert count(judged(upstream, far, roads=SIGN), Kind.STOP_SIGN) == 1


def test_upstream_boxes_lie_along_the_axes_of_the_map() -> None:
    """A sign whose lane runs north: its box is 3.5 m long and 3 m wide there, not 3 and 3.5."""
    lines = SIGN.stop_lines.copy()
    lines["x0"], lines["x1"], lines["y0"], lines["y1"] = -1.75, 1.75, 100.0, 100.0
    north = replace(SIGN, stop_lines=lines)
    poses = [(0.0, y, math.pi / 2, 10.0) for y in np.arange(50.0, 98.25, 0.5)]
    poses += [(0.0, 98.3, math.pi / 2, 0.0)] * 3  # 1.7 m before the line
    entered = {}
    for name, rules in (("right", LB1), ("bugs", replace(LB1, upstream_bugs=True))):
        judge = Judge(north, replace(rules, deviation=False), 1)
        judge.begin(np.zeros(1, int), [SPEC])
        for step, pose in enumerate(poses):
            judge.watch(state([pose], step, north), np.zeros(1, int))
        entered[name] = bool(judge._memory["signs"]["entered"][0])
    assert entered == {"right": False, "bugs": True}


@pytest.mark.parametrize(("rules", "margin"), [(LB1, 1.3), (LB20, 0.5)])
def test_how_far_outside_the_lanes_counts(rules: Protocol, margin: float) -> None:
    """Half of 200 m are driven beside lane 0, which ends 1.75 m from its middle."""
    for gap, share in ((margin - 0.05, 0.0), (margin + 0.05, 50.0)):
        poses = [*straight(0.0, 100.0), *straight(100.0, 200.0, y=-1.75 - gap)]
        result = judged(rules, poses)
        found = [one.value for one in result.infractions if one.kind == Kind.OUTSIDE_LANES]
        assert found == ([] if share == 0.0 else [pytest.approx(share, abs=0.6)])


def test_the_ninth_word_says_how_far_outside() -> None:
    poses = [*straight(0.0, 100.0), *straight(100.0, 200.0, y=-8.0)]
    message = judged(LB20, poses).infractions[-1].message
    assert float(message.split()[8]) == pytest.approx(100.0, abs=1.1)


def test_a_lane_for_bicycles_is_outside() -> None:
    """The world takes it for drivable; CARLA's criterion looks for driving and parking lanes."""
    assert (is_outside(ROAD, np.array([[50.0, -3.5, 0.0]]), 0.5)).all()
    assert not (is_outside(ROAD, np.array([[50.0, -2.2, 0.0]]), 0.5)).any()


def wrong_way(rules: Protocol, poses: list[Pose]) -> float:
    result = judged(rules, poses)
    return sum(one.value for one in result.infractions if one.kind == Kind.OUTSIDE_LANES)


def test_a_lane_that_runs_the_other_way_is_wrong_until_left() -> None:
    poses = [*straight(0.0, 100.0), *straight(100.0, 200.0, y=3.5), *straight(200.0, 300.0)]
    assert wrong_way(LB20, poses) == pytest.approx(100.0 / 3.0, abs=0.6)
    assert wrong_way(LB20, straight(0.0, 300.0)) == 0.0


def test_an_oncoming_lane_is_free_where_a_scenario_leaves_no_other_way() -> None:
    poses = [*straight(0.0, 100.0), *straight(100.0, 200.0, y=3.5), *straight(200.0, 300.0)]

    def half_way(scene: Scene, step: int) -> None:
        scene.progress["oncoming"] = scene.ego["x"] < 150.0

    shares = [judged(rules, poses, half_way).infractions[-1].value for rules in (LB1, LB20)]
    assert shares == [pytest.approx(100.0 / 3.0, abs=0.6), pytest.approx(50.0 / 3.0, abs=0.6)]


def test_upstream_forgives_the_wrong_side_at_the_next_road() -> None:
    """The lane ahead of the wrong one runs the same way, so that CARLA clears the charge."""
    lanes = ROAD.lanes.copy()
    lanes["first"][2], lanes["count"][2] = lanes["first"][1], lanes["count"][1]
    lanes["type"][2] = lanes["type"][1]
    roads = replace(ROAD, lanes=lanes)  # lane 2 is lane 1 under the number of the next road
    poses = [*straight(0.0, 100.0), *straight(100.0, 200.0, y=3.5)]

    def next_road(scene: Scene, step: int) -> None:
        scene.ego["lane"][scene.ego["lane"] > 0] = 1 if step < 300 else 2

    shares = []
    for bugs in (False, True):
        result = judged(replace(LB20, upstream_bugs=bugs), poses, next_road, roads)
        shares.append(result.infractions[-1].value)
    assert shares == [pytest.approx(50.0, abs=0.6), pytest.approx(25.0, abs=0.6)]


def test_the_mean_speed_is_compared_at_each_checkpoint() -> None:
    """8 m/s on the first and last 100 m, 12 m/s between; the traffic nearby drives at 10 m/s."""
    poses = [
        *straight(0.0, 100.0, 8.0),
        *straight(100.0, 300.0, 12.0),
        *straight(300.0, 400.0, 8.0),
    ]

    def crowd(scene: Scene, step: int) -> None:
        x = float(scene.ego["x"][0])
        cars = [scene.ego[0], other(5, x + 95.0, 5.0)[0], other(6, x - 95.0, 15.0)[0]]
        cars += [other(7, x, 99.0, Mover.SCRIPT)[0], np.zeros((), VEHICLE)]
        cars += [other(8, x + 105.0, 99.0)[0], other(9, x - 105.0, 99.0)[0]]
        old = scene.actors
        vehicles = np.array([cars], VEHICLE)
        object.__setattr__(
            scene, "actors", Actors(vehicles, old.walkers, old.lights, old.world, old.slot)
        )

    result = judged(LB20, poses, crowd)
    assert result.speeds == pytest.approx((80.0, 120.0, 120.0, 80.0), abs=1.0)
    slow = [one for one in result.infractions if one.kind == Kind.MIN_SPEED]
    assert [one.value for one in slow] == [result.speeds[0], result.speeds[3]]
    assert float(slow[0].message.split()[3].rstrip("%")) == result.speeds[0]
    assert count(judged(BENCH2DRIVE, poses, crowd), Kind.MIN_SPEED) == 20
    assert judged(LB20, poses[:100], crowd).speeds == ()  # ended before the first checkpoint
    assert judged(LB20, poses).speeds == ()  # nobody to compare with


def test_a_checkpoint_at_a_route_point_ends_once() -> None:
    """Three quarters of this route are a point of it; four times that over its length is < 3."""
    length, s = 171.29523232602236, 128.47142424451675
    assert s * 4 >= 3 * length
    assert s * 4 / length < 3
    scene = among(state([(0.0, 0.0, 0.0, 5.0)], 0), [other(5, 50.0, 10.0)])
    scene.progress["route_length"] = length
    memory = np.zeros(1, criteria_route.PACE)
    memory["checkpoint"] = 2
    memory["others"] = 10.0
    sight, at = look(scene, Ways(scene.routes)), np.array([s])
    ended = [len(criteria_route.paces(sight, memory, at, 4)) for _ in range(3)]
    assert ended == [1, 0, 0]


def ambulance(gone_at: int, gap: float) -> Change:
    """Wants to pass until some step, this far ahead of the ego."""

    def change(scene: Scene, step: int) -> None:
        scene.progress["emergency"] = 8 if step < gone_at else 0
        car = other(8, float(scene.ego["x"][0]) + gap, 10.0)
        old = scene.actors
        vehicles = np.array([[scene.ego[0], car[0]]], VEHICLE)
        object.__setattr__(
            scene, "actors", Actors(vehicles, old.walkers, old.lights, old.world, old.slot)
        )

    return change


def test_an_ambulance_must_be_in_front_when_its_scenario_ends() -> None:
    poses = straight(0.0, 200.0)
    assert count(judged(LB20, poses, ambulance(100, -5.0)), Kind.YIELD) == 1
    assert count(judged(LB20, poses, ambulance(100, 5.0)), Kind.YIELD) == 0
    assert count(judged(LB1, poses, ambulance(100, -5.0)), Kind.YIELD) == 0
    # The drive ends first: only one that had 15 s is charged.
    assert count(judged(LB20, poses[:280], ambulance(10**9, -5.0)), Kind.YIELD) == 0
    assert count(judged(LB20, poses[:320], ambulance(10**9, -5.0)), Kind.YIELD) == 1


def test_a_scenario_that_is_given_up_counts_once() -> None:
    route = replace(ROUTE, scenarios=(ScenarioSpec("late", "ControlLoss", 0.0, 0.0, 0.0, 0.0),))

    def late(scene: Scene, step: int) -> None:
        scene.events["scenario_timeout"] = 0 if step in (20, 21) else -1

    result = judged(LB20, straight(0.0, 50.0), late, spec=replace(SPEC, route=route))
    assert [one.kind for one in result.infractions] == [Kind.SCENARIO_TIMEOUT]
    assert "late" in result.infractions[0].message
    assert result.scenarios == ("ControlLoss",)


def test_speeding_and_driving_off_the_road_are_reported() -> None:
    poses = [*straight(0.0, 100.0, 15.0), *straight(100.0, 200.0, 10.0, y=-8.0)]
    measures = judged(LB20, poses).measures
    assert measures["speeding_max"] == pytest.approx(15.0 - 13.9)
    assert measures["speeding_mean"] == pytest.approx(15.0 - 13.9)
    assert measures["speeding_share"] == pytest.approx(100 * 134 / (134 + 201), abs=1.0)
    assert measures["off_road"] == pytest.approx(100.0, abs=1.0)
    assert measures["max_off_road"] == pytest.approx(8.0 - 3.5 - 1.75)


def test_comfort_of_closed_motions() -> None:
    """Constant acceleration is comfortable below its bound; hard braking is not."""
    states = np.zeros((60, len(MOTION)))
    states[:, 2] = 2.3
    assert comfort(states, 0.05) == 100.0
    states[20:40, 2] = -5.0  # one segment of three
    assert comfort(states, 0.05) == pytest.approx(200.0 / 3.0)
    assert comfort(states[:19], 0.05) is None
    # A yaw rate that grows by 1.5 rad/s^2 is fine; at 0.1 s a step CARLA would see half of it.
    states[:] = 0.0
    states[:, 4] = 2.5 * 0.05 * np.tile(np.arange(20), 3) * 0.3
    assert comfort(states, 0.05) == 100.0
    states[:, 2] = 0.4 * np.tile(np.arange(20), 3) * 0.5 - 2.0  # jerk of 4 m/s^3
    assert comfort(states, 0.05) == 100.0
    states[:, 2] *= 1.05
    assert comfort(states, 0.05) == 0.0
    assert comfort(states, 0.05, upstream_bugs=True) == 100.0


def test_a_failure_ends_the_drive_with_its_reason() -> None:
    judge, row = Judge(ROAD, LB20, 1), np.zeros(1, int)
    judge.begin(row, [SPEC])
    with pytest.raises(RuntimeError, match="before its drive has ended"):
        judge.result(0)
    judge.watch(state([(0.0, 0.0, 0.0, 0.0)], 0), row)
    judge.fail(0, Ending.AGENT_CRASHED)
    assert judge.watch(state([(0.0, 0.0, 0.0, 0.0)], 1), row)[0] == Outcome.ABORTED
    judge.end(0, Outcome.ABORTED)
    assert judge.result(0).ending == Ending.AGENT_CRASHED
    judge.begin(row, [SPEC])  # the next drive knows nothing of it
    assert judge.watch(state([(0.0, 0.0, 0.0, 0.0)], 0), row)[0] == Outcome.RUNNING


def test_a_drive_is_judged_alike_in_any_row() -> None:
    """Three drives together, begun at different times, against each alone."""
    drives = [
        [*straight(0.0, 100.0), *straight(100.0, 200.0, y=-8.0)],
        straight(0.0, 200.0, 7.0, y=3.5),
        [*straight(0.0, 60.0, 13.0), *straight(60.0, 200.0, 13.0, y=1.0)],
    ]
    alone = [judged(LENIENT, poses, roads=LIGHT) for poses in drives]
    judge, results = Judge(LIGHT, LENIENT, 4), {}
    begun = {0: 0, 1: 5, 3: 9}  # row -> tick
    which = dict(zip(begun, range(3), strict=True))
    for tick in range(700):
        new = np.array([row for row, at in begun.items() if at == tick], int)
        judge.begin(new, [SPEC] * len(new))
        rows = [r for r, at in begun.items() if 0 <= tick - at < len(drives[which[r]])]
        if not rows:
            break
        poses = [drives[which[r]][tick - begun[r]] for r in rows]
        scene = state(poses, 0, LIGHT)
        steps = np.array([tick - begun[r] for r in rows])
        judge.watch(replace(scene, step=steps), np.array(rows))
        for row in rows:
            if tick - begun[row] == len(drives[which[row]]) - 1:
                judge.end(row, Outcome.ABORTED)
                results[row] = judge.result(row)
    assert [results[row] for row in begun] == alone


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([LB1, LB20, BENCH2DRIVE]), st.booleans())
def test_any_drive_is_judged_alike_alone_and_among_others(
    seed: int, rules: Protocol, upstream_bugs: bool
) -> None:
    """Random drives past a stop sign, over both lanes and beside them, with random contacts."""
    rules = replace(rules, upstream_bugs=upstream_bugs)
    random = np.random.default_rng(seed)
    n_steps, n_rows = 150, 5
    speed = random.uniform(0.0, 14.0, (n_rows, 1)) * random.integers(0, 2, (n_rows, n_steps))
    x = random.uniform(0.0, 90.0, (n_rows, 1)) + np.cumsum(speed * 0.05, axis=1)
    y = random.uniform(-3.0, 5.0, (n_rows, 1)) + np.cumsum(
        random.normal(0.0, 0.1, (n_rows, n_steps)), axis=1
    )
    contact = random.integers(0, 60, (n_rows, n_steps))

    def drive(rows: list[int]) -> list[RouteResult]:
        judge, at = Judge(SIGN, rules, len(rows)), np.arange(len(rows))
        judge.begin(at, [SPEC] * len(rows))
        for step in range(n_steps):
            poses = [(x[r, step], y[r, step], 0.0, speed[r, step]) for r in rows]
            scene = state(poses, step, SIGN)
            scene.events["struck"] = np.where(contact[rows, step] < 4, contact[rows, step], 0)
            scene.events["struck_id"] = contact[rows, step]
            judge.watch(scene, at)
        for row in at:
            judge.end(int(row), Outcome.TRUNCATED)
        return [judge.result(int(row)) for row in at]

    together = drive(list(range(n_rows)))
    assert [drive([row])[0] for row in range(n_rows)] == together


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="there is no protocol 'lb3'; known are lb1, lb2.0"):
        protocol_of("lb3")
    with pytest.raises(ValueError, match="knows the crowds empty, regular, dense, got 'full'"):
        NO_CRASH.traffic(ROAD, "full")
    with pytest.raises(ValueError, match="at least one row, got n_rows=0"):
        Judge(ROAD, LB1, 0)


def test_crowds_by_town() -> None:
    named = replace(ROAD, name="Town01_Opt")
    assert (LB1.traffic(named).vehicles, LB1.traffic(named).walkers) == (120, 0)
    dense = NO_CRASH.traffic(named, "dense")
    assert (dense.vehicles, dense.walkers, dense.signals) == (100, 250, True)
    # 840 m of driving lanes are 8 vehicles at density 1.
    assert LB20.traffic(ROAD).vehicles == 8
    assert (NO_CRASH.traffic(ROAD, "dense").vehicles, NO_CRASH.traffic(ROAD).vehicles) == (17, 0)


def test_only_known_faults_differ_under_upstream_bugs() -> None:
    rules = protocol_of("bench2drive", upstream_bugs=True)
    assert rules.id == "bench2drive+upstream-bugs"
    assert replace(rules, id="bench2drive", upstream_bugs=False) == BENCH2DRIVE


def test_an_episode_spec_is_judged_from_where_it_starts() -> None:
    def there(scene: Scene, step: int) -> None:
        scene.progress["index"] = 200

    result = judged(LB1, straight(200.0, 300.0), there, spec=EpisodeSpec(ROUTE))
    assert result.completion == pytest.approx(75.0, abs=0.3)
