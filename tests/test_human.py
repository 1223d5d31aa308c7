"""A person's hands, as logic: keys, axes, calibrations, who holds the wheel, key files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drive_il.datatypes import CONTROL, Bools, Outcome, Records, Scene, Who
from drive_il.experts.planner import Planner
from drive_il.gates import ExpertDrives
from drive_il.human import axes
from drive_il.human.axes import Axis, Calibration, moved_most
from drive_il.human.bindings import Action, Bindings, load, parse
from drive_il.human.hands import Hands, KeyboardConfig, Pressed, by_keys, steer_limit
from drive_il.human.person import Part, Person
from drive_il.human.takeover import Grip
from drive_il.rollout import drive
from drive_il.sim import World
from drive_il.sitting.calibrate import calibration_of
from drive_il.steering import curvature_of_steer
from drive_il.theory.forks import replay
from tests.drives import PoseObserver, Wobbly, make_route, make_scene, specs_on
from tests.roads import straight_road

KEYS = KeyboardConfig()
DT = 0.05


REST_HANDS = Hands()


def held(pressed: Pressed, steps: int, speed: float = 0.0, hands: Hands = REST_HANDS) -> Hands:
    for _ in range(steps):
        hands = by_keys(hands, pressed, speed, DT, KEYS)
    return hands


def test_a_key_turns_the_wheel_at_its_rate_and_lets_it_run_back() -> None:
    turned = held(Pressed(left=True), 4)
    assert turned.steer == pytest.approx(4 * DT * KEYS.steer_rate)
    assert held(Pressed(left=True), 100).steer == KEYS.most_steer
    back = held(Pressed(), 1, hands=turned)
    assert back.steer == pytest.approx(turned.steer - DT * KEYS.return_rate)
    assert held(Pressed(), 20, hands=turned).steer == 0.0
    assert held(Pressed(left=True, right=True), 20, hands=turned).steer == 0.0


def test_pedals_come_and_go_and_the_hand_brake_is_a_full_brake() -> None:
    assert held(Pressed(throttle=True), 3).throttle == pytest.approx(3 * DT * KEYS.throttle_rate)
    full = held(Pressed(throttle=True), 40)
    assert full == Hands(1.0, 0.0, 0.0)
    assert held(Pressed(), 10, hands=full) == Hands()
    assert held(Pressed(throttle=True, hand_brake=True), 1, hands=full) == Hands(0.0, 1.0, 0.0)


@given(
    speed=st.floats(0, 60),
    keys=st.lists(st.tuples(*[st.booleans()] * 5), max_size=40),
)
def test_hands_stay_in_range_and_keys_never_ask_for_more_than_the_tyres_give(
    speed: float, keys: Sequence[tuple[bool, ...]]
) -> None:
    hands = Hands()
    for one in keys:
        hands = by_keys(hands, Pressed(*one), speed, DT, KEYS)
        assert 0.0 <= hands.throttle <= 1.0
        assert 0.0 <= hands.brake <= 1.0
        lateral = abs(float(curvature_of_steer(np.array(hands.steer)))) * speed**2
        assert lateral <= KEYS.most_lateral * (1.0 + 1e-9) + 1e-9
        assert abs(hands.steer) <= KEYS.most_steer


def test_the_wheel_turns_less_far_at_speed() -> None:
    limits = [steer_limit(speed, KEYS) for speed in (0.0, 5.0, 10.0, 20.0, 40.0)]
    assert limits == sorted(limits, reverse=True)
    assert limits[0] == KEYS.most_steer


@given(
    rest=st.floats(-0.3, 0.3),
    full=st.sampled_from([-1.0, 1.0]),
    zone=st.floats(0, 0.5),
    raw=st.floats(-1, 1),
)
def test_an_axis_is_even_and_rests_in_its_dead_zone(
    rest: float, full: float, zone: float, raw: float
) -> None:
    axis = Axis(0, rest, full, -full, zone)
    assert axis.value(full) == pytest.approx(1.0)
    assert axis.value(-full) == pytest.approx(-1.0)
    assert axis.value(rest) == 0.0
    assert -1.0 <= axis.value(raw) <= 1.0
    assert (axis.value(raw) > 0.0) <= ((raw - rest) * (full - rest) > 0.0)
    within = rest + 0.99 * zone * (full - rest)
    rounded_out = (within - rest) / (full - rest) > zone  # of a zone as small as a last digit
    assert axis.value(within) == 0.0 or rounded_out


def test_a_pedal_that_rests_at_one_end_is_no_steering_axis() -> None:
    pedal = Axis(2, 1.0, -1.0, 1.0, dead_zone=0.0)
    assert [pedal.value(raw) for raw in (1.0, 0.0, -1.0)] == [0.0, 0.5, 1.0]
    with pytest.raises(ValueError, match=r"axis 3 must move at least 0\.1"):
        Axis(3, 0.5, 0.55, 0.5)


REST = [0.02, 1.0, 1.0, 0.0]
HELD = {
    "rest": REST,
    "left": [-0.98, 1.0, 1.0, 0.0],
    "right": [1.0, 1.0, 1.0, 0.0],
    "throttle": [0.0, -1.0, 1.0, 0.0],
    "brake": [0.0, 1.0, -1.0, 0.0],
}


def test_calibration_finds_the_axes_by_what_was_moved() -> None:
    found = calibration_of("G29", "wheel", HELD)
    assert found.steer == Axis(0, 0.02, -0.98, 1.0, 0.01)
    assert found.hands([-0.98, 1.0, 1.0, 0.0]) == Hands(0.0, 0.0, pytest.approx(1.0))  # type: ignore[arg-type]
    assert found.hands([1.0, -1.0, 1.0, 0.0]) == Hands(1.0, 0.0, pytest.approx(-1.0))  # type: ignore[arg-type]
    assert found.hands(HELD["brake"]).brake == 1.0
    assert moved_most(REST, REST) == -1


def test_calibration_says_what_did_not_move() -> None:
    with pytest.raises(ValueError, match="no axis moved"):
        calibration_of("G29", "wheel", {**HELD, "left": REST})
    with pytest.raises(ValueError, match="axes 0 and 3 moved"):
        calibration_of("G29", "wheel", {**HELD, "right": [0.02, 1.0, 1.0, 1.0]})
    assert calibration_of("stick", "wheel", {**HELD, "brake": REST}).brake is None


def test_calibrations_are_kept_by_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIVE_IL_DATA", str(tmp_path))
    assert axes.load("03000000-6d04") is None
    found = calibration_of("G29", "wheel", {**HELD, "brake": REST})
    axes.save(found, "03000000-6d04")
    assert axes.load("03000000-6d04") == found
    axes.calibration_file("03000000-6d04").write_text("{}")
    with pytest.raises(ValueError, match="delete it, calibrate anew"):
        axes.load("03000000-6d04")
    with pytest.raises(ValueError, match="now has 1 axes; calibrate it again"):
        Calibration("pad", Axis(4, 0.0, -1.0, 1.0)).hands([0.0])


def test_the_wheel_is_taken_by_touching_it_and_given_back_with_a_key() -> None:
    rest = Hands()
    grip = Grip().after(rest, key_is_down=False, hands_back=False)
    assert not grip.holds
    assert not grip.after(Hands(steer=0.03), False, False).holds  # it trembles
    assert grip.after(Hands(steer=0.05), False, False).holds
    assert grip.after(Hands(brake=0.1), False, False).holds
    grip = grip.after(rest, key_is_down=True, hands_back=False)
    assert grip.holds
    assert grip.after(rest, False, False).holds  # until he gives it back
    turned = Hands(steer=-0.4, throttle=0.5)
    grip = grip.after(turned, False, hands_back=True)
    assert not grip.holds
    assert not grip.after(turned, False, False).holds  # it stays where he left it
    assert not grip.after(Hands(steer=-0.4), False, False).holds  # a foot that lifts
    assert grip.after(Hands(steer=-0.3), False, False).holds


class Fingers(Person):
    """A person whose keys follow a script, step by step."""

    def __init__(self, part: Part, script: dict[int, Pressed], back: Sequence[int] = ()) -> None:
        super().__init__(part)
        self.script, self.back, self.step = script, back, 0

    def act(self, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
        self.step = int(scene.step[0])
        self.pressed = self.script.get(self.step, self.pressed)
        self.hands_back = self.step in self.back
        return super().act(scene)


def test_a_person_takes_over_from_a_policy_and_hands_back() -> None:
    [spec] = specs_on([make_route([(150, 0)], id="a")], 1)
    left, none = Pressed(left=True), Pressed()
    person = Fingers(Part.CORRECTS, {10: left, 14: none}, back=[20])
    [episode] = drive(World(straight_road(), 1), PoseObserver(), Wobbly(), [spec], driver=person)
    assert (episode.who[:10] == Who.POLICY).all()
    assert (episode.who[10:20] == Who.HUMAN).all()
    assert (episode.who[20:] == Who.POLICY).all()
    np.testing.assert_array_equal(episode.asked, episode.who == Who.HUMAN)
    by_hand = episode.asked
    np.testing.assert_array_equal(episode.control[by_hand], episode.expert_control[by_hand])
    np.testing.assert_array_equal(episode.control[~by_hand], episode.policy_control[~by_hand])
    assert np.isnan(episode.expert_control["steer"][~by_hand]).all()
    # He takes the wheel where the policy has it, and turns on from there.
    gain = KEYS.steer_rate * DT
    assert episode.control["steer"][10] == pytest.approx(episode.control["steer"][9] + gain)


def test_a_person_may_label_while_the_policy_drives() -> None:
    [spec] = specs_on([make_route([(150, 0)], id="a")], 1)
    person = Fingers(Part.LABELS, {5: Pressed(right=True), 12: Pressed()})
    [episode] = drive(World(straight_road(), 1), PoseObserver(), Wobbly(), [spec], driver=person)
    assert (episode.who == Who.POLICY).all()
    np.testing.assert_array_equal(np.flatnonzero(episode.asked), np.arange(5, 12))
    assert (np.diff(episode.expert_control["steer"][5:12]) < 0.0).all()
    np.testing.assert_array_equal(episode.control, episode.policy_control)


def test_the_autopilot_is_the_expert_until_a_key_is_touched() -> None:
    [spec] = specs_on([make_route([(150, 0)], id="a")], 1)
    person = Fingers(Part.DRIVES, {30: Pressed(throttle=True)})
    person.switch_autopilot()
    [episode] = drive(
        World(straight_road(), 1),
        None,
        None,
        [spec],
        expert=Planner(),
        gate=ExpertDrives(),
        driver=person,
        stop=lambda scene: np.where(scene.step >= 40, Outcome.ABORTED, Outcome.RUNNING),
        keep_observations=False,
    )
    assert (episode.who[:30] == Who.EXPERT).all()
    assert (episode.who[30:] == Who.HUMAN).all()
    assert episode.asked.all()  # expert and person alike cost their label
    assert episode.outcome == Outcome.ABORTED


class Backer(Person):
    """Drives forwards for 10 steps, then backs."""

    def act(self, scene: Scene) -> tuple[Records, Bools]:
        self.pressed = Pressed(throttle=True)
        self.reverse = int(scene.step[0]) >= 10
        return super().act(scene)


def test_what_is_done_in_reverse_is_driven_and_replayed_but_is_nobodys_label() -> None:
    [spec] = specs_on([make_route([(150, 0)], id="a")], 1)
    [episode] = drive(
        World(straight_road(), 1),
        PoseObserver(),
        None,
        [spec],
        expert=Planner(),
        gate=ExpertDrives(),
        driver=Backer(Part.DRIVES),
        stop=lambda scene: np.where(scene.step >= 60, Outcome.ABORTED, Outcome.RUNNING),
    )
    assert (episode.who == Who.HUMAN).all()
    assert episode.control["throttle"][-1] == -1.0
    assert episode.ego["x"][-1] < episode.ego["x"][10]
    np.testing.assert_array_equal(episode.asked, np.arange(60) < 10)
    assert np.isnan(episode.expert_control["steer"][10:]).all()
    [again] = replay(World(straight_road(), 1), [spec], [episode.control])
    np.testing.assert_array_equal(again.ego, episode.ego)


def test_only_a_person_who_drives_has_a_reverse_gear() -> None:
    scene = make_scene(1)
    person = Person(Part.CORRECTS)
    person.reverse = True
    person.act(scene)
    assert not person.reverse
    driver = Person(Part.DRIVES)
    driver.reverse, driver.pressed = True, Pressed(throttle=True)
    said, _ = driver.act(scene)
    assert said["throttle"][0] < 0.0
    driver.switch_autopilot()
    assert not driver.reverse


def test_keys_come_from_a_file_that_is_written_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIVE_IL_DATA", str(tmp_path))
    assert load() == Bindings()
    file = tmp_path / "controls.toml"
    assert parse(file.read_text()) == Bindings()
    file.write_text('[keys]\nthrottle = ["i"]\nrecord = []\n')
    changed = load().keys
    assert changed[Action.THROTTLE] == ("i",)
    assert changed[Action.RECORD] == ()
    assert changed[Action.BRAKE] == Bindings().keys[Action.BRAKE]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[keys", "is not TOML"),
        ('[pedals]\nthrottle = ["w"]', "there is no table 'pedals'"),
        ('[keys]\nfly = ["w"]', r"\[keys\]: there is no action 'fly'"),
        ("[keys]\nthrottle = 3", "throttle must be a list of names"),
        ('[keys]\nthrottle = ["s"]', r"\[keys\] gives 's' to both throttle and brake"),
        ('[gamepad]\nview = ["z"]', r"\[gamepad\] names z; buttons are a, b"),
        ('[wheel]\nview = ["red"]', "buttons are numbers as text"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(text)


def test_nothing_is_pressed_by_default() -> None:
    assert not Pressed().any
    assert Pressed(hand_brake=True).any
    assert Hands(0.2, 0.3, -0.4).control()[0].tolist() == (0.2, 0.3, -0.4)
    assert Hands().control().dtype == CONTROL


def test_a_wheel_that_stands_askew_has_not_been_touched() -> None:
    [spec] = specs_on([make_route([(150, 0)], id="a")], 1)
    askew, turned = Hands(steer=0.3), Hands(throttle=0.2, steer=-0.1)
    now = [askew]
    person = Person(Part.CORRECTS, lambda: now[0])
    person.sit_down()

    def turn(scene: Scene) -> np.ndarray:
        now[0] = turned if scene.step[0] >= 20 else askew
        return np.where(scene.step >= 30, Outcome.ABORTED, Outcome.RUNNING)

    [episode] = drive(
        World(straight_road(), 1), PoseObserver(), Wobbly(), [spec], driver=person, stop=turn
    )
    assert (episode.who[:20] == Who.POLICY).all()
    assert (episode.who[20:] == Who.HUMAN).all()
    assert episode.control[25] == turned.control()[0]
