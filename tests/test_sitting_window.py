"""Whole sittings on SDL's dummy screen, with hands that follow a script."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pygame
import pytest

from drive_il.actors import Traffic
from drive_il.dataset import Dataset
from drive_il.dataset_file import EpisodeFile
from drive_il.datatypes import Outcome, Route, Who
from drive_il.display import hud, pages
from drive_il.display.cameras import PaneCamera, View, panes
from drive_il.display.screen import Screen
from drive_il.evaluation.protocol import LB21
from drive_il.gates import ExpertDrives
from drive_il.human.bindings import Action, Bindings
from drive_il.human.devices import choose
from drive_il.human.hands import Pressed
from drive_il.human.inputs import Inputs
from drive_il.human.person import Part, Person
from drive_il.maps.network import RoadNetwork
from drive_il.networks import DrivingPolicy, driving_network
from drive_il.sim.world import World
from drive_il.sitting.by_hand import Plan, Sitting
from drive_il.sitting.cabin import Cabin, Left
from drive_il.sitting.demonstrations import Demonstrations
from drive_il.sitting.study import Condition, Study, StudyFolder, create
from drive_il.sitting.study_sitting import StudySitting, agrees
from drive_il.sitting.take import Course
from drive_il.sitting.teach import Lessons, TeachConfig
from tests.ring_drives import SMALL, SPEC, demonstrations, place

SIZE = (640, 480)
Script = Callable[[int], tuple[list[Action], Pressed]]
"""number of looks so far -> (actions begun, keys that are down)"""


class ByScript(Inputs):
    """Keys that follow a script."""

    def __init__(self, script: Script) -> None:
        super().__init__(Bindings())
        self._script, self._looks = script, 0
        self._held = Pressed()

    def look(self) -> list[Action]:
        super().look()
        begun, self._held = self._script(self._looks)
        self._looks += 1
        return begun

    @property
    def pressed(self) -> Pressed:
        return self._held


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Screen]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("DRIVE_IL_DATA", str(tmp_path / "user"))
    one = Screen("test", SIZE)
    yield one
    one.close()


def network() -> RoadNetwork:
    world = place().world
    assert isinstance(world, World)
    return world.network


def cabin_of(screen: Screen, part: Part, script: Script, view: View = View.CHASE) -> Cabin:
    return Cabin(network(), screen, ByScript(script), Person(part), Bindings(), view)


def course(policy: DrivingPolicy | None = None) -> Course:
    at = place()
    gate = ExpertDrives() if policy is None else None
    return Course(World(network(), 1), at.expert, gate, policy, at.observer, LB21)


def routes() -> list[Route]:
    return [spec.route for spec in place().specs[:2]]


GO_ON = [Action.CONFIRM]


def test_a_drive_is_kept_taken_back_and_left(screen: Screen, tmp_path: Path) -> None:
    def script(look: int) -> tuple[list[Action], Pressed]:
        actions = {
            30: [Action.VIEW],
            60: [Action.TAKE_BACK],
            100: [Action.QUIT],
            140: [Action.QUIT],
        }
        # The first look after the drive has been taken back goes on from the earliest moment.
        if look in (70, 72):
            return GO_ON, Pressed()
        return actions.get(look, []), Pressed(throttle=look < 60, left=60 < look < 70)

    folder = tmp_path / "drives"
    cabin = cabin_of(screen, Part.DRIVES, script)
    sitting = Sitting(cabin, course(), Plan(routes(), record=folder, who="ada"))
    sitting.drive()
    [path] = sitting.kept
    [episode] = Dataset(folder).episodes()
    assert episode.outcome == Outcome.ABORTED
    assert (episode.who == Who.HUMAN).all()
    facts = EpisodeFile(path).header["facts"]
    assert facts["who"] == "ada"
    [back] = facts["taken_back"]
    assert back["to"] < back["from"]
    assert cabin.view is View.BIRD


def test_q_puts_the_reverse_gear_in_and_out_again(
    screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gears = list[str]()

    def script(look: int) -> tuple[list[Action], Pressed]:
        actions = {9: [Action.REVERSE], 60: [Action.REVERSE], 90: [Action.QUIT], 95: [Action.QUIT]}
        return actions.get(look, []), Pressed(throttle=True)

    def draw(screen: Screen, seen: hud.Instruments) -> None:
        gears.append(seen.gear)

    monkeypatch.setattr("drive_il.sitting.cabin.draw_hud", draw)
    cabin = cabin_of(screen, Part.DRIVES, script)
    Sitting(cabin, course(), Plan(routes(), record=tmp_path / "drives")).drive()
    assert "".join(dict.fromkeys(gears)) == "DR"
    assert gears[-1] == "D"
    [episode] = Dataset(tmp_path / "drives").episodes()
    back = episode.control["throttle"] < 0.0
    assert back.any()
    assert not back[-1]
    np.testing.assert_array_equal(episode.asked, ~np.signbit(episode.control["throttle"]))


def test_a_bad_take_is_thrown_away_and_a_closed_window_keeps_the_drive(
    screen: Screen, tmp_path: Path
) -> None:
    folder, looks = tmp_path / "drives", list[int]()

    def script(look: int) -> tuple[list[Action], Pressed]:
        looks.append(look)
        if look == 20:
            return [Action.QUIT], Pressed()
        if look == 24:
            assert len(list(folder.glob("*.parquet"))) == 1
            return [Action.DISCARD], Pressed()
        if look == 40:
            assert list(folder.glob("*.parquet")) == []
            cabin.inputs.closed = True
        return [], Pressed(throttle=True)

    cabin = cabin_of(screen, Part.DRIVES, script)
    sitting = Sitting(cabin, course(), Plan(routes(), record=folder))
    with pytest.raises(Left):
        sitting.drive()
    assert len(sitting.kept) == 1
    assert len(Dataset(folder)) == 1


def test_a_policy_is_taught_lap_by_lap(screen: Screen, tmp_path: Path) -> None:
    def script(look: int) -> tuple[list[Action], Pressed]:
        step = int(where.world.scene.step[0])  # 0 between laps
        hands = Pressed(throttle=True) if 5 < step < 15 else Pressed()
        return ([Action.HAND_BACK] if step == 20 else GO_ON), hands

    config = replace(SMALL, members=2)
    policy = DrivingPolicy(driving_network(config, SPEC, 1), config, SPEC, {"learner": "bc"})
    teach = TeachConfig(1, lap_seconds=1.6, fit_steps=20, n_validation=2, validation_steps=40)
    files = Demonstrations(tmp_path / "laps", 0, "ada", "keyboard")
    cabin = cabin_of(screen, Part.CORRECTS, script)
    where = course(policy)
    seven = (cabin, where, place(), policy, demonstrations(), teach, 0)
    lessons = Lessons(*seven, files)
    lessons.teach(routes(), Traffic())
    [lap] = Dataset(tmp_path / "laps").episodes()
    assert set(lap.who.tolist()) == {int(Who.POLICY), int(Who.HUMAN)}
    assert lap.who[0] == lap.who[-1] == Who.POLICY
    np.testing.assert_array_equal(lap.asked, lap.who == Who.HUMAN)
    assert lap.info["doubt"].shape == (lap.n_steps,)
    assert lessons.n_iterates == 2
    card = lessons.best("hg-dagger", "ada").card
    assert card["learner"] == "hg_dagger"
    assert card["taught_by"] == "ada"
    assert card["doubt_threshold"] > 0.0


def test_a_study_sitting_drives_every_condition(screen: Screen, tmp_path: Path) -> None:
    study = Study(
        "t", (Condition("alone"), Condition("m", "M")), routes=("0", "1"), lap_seconds=0.3
    )
    create(tmp_path, study, "You agree to drive.\n\nYou can stop at any time.\n")
    folder = StudyFolder(tmp_path)
    cabin = cabin_of(screen, Part.DRIVES, lambda look: (GO_ON, Pressed(throttle=True)))
    assert agrees(cabin, folder)
    sitter = folder.admit()
    policy = DrivingPolicy(driving_network(SMALL, SPEC, 1), SMALL, SPEC)

    def course_of(condition: Condition) -> Course:
        return course(policy if condition.model else None)

    assert StudySitting(cabin, folder, sitter, course_of, routes()).drive()
    rows = folder.rows()
    assert [(row["place"], row["lap"]) for row in rows] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert [row["condition"] for row in rows[::2]] == list(sitter.order)
    assert all(row["by_hand_share"] > 0.9 for row in rows)
    # Everything is there: a second sitting of the same person has nothing left to drive.
    assert StudySitting(cabin, folder, sitter, course_of, routes()).drive()
    assert len(folder.rows()) == 4


def test_what_was_pressed_before_a_page_was_there_does_not_answer_it(screen: Screen) -> None:
    inputs = Inputs(Bindings())
    for key in (pygame.K_RETURN, pygame.K_LEFT):
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key))
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    inputs.release_all()
    assert inputs.look() == []
    assert not inputs.pressed.any
    assert inputs.closed  # a window that was closed stays closed


def test_help_and_a_device_that_is_not_there(screen: Screen) -> None:
    cabin = cabin_of(screen, Part.DRIVES, lambda look: ([Action.HELP], Pressed()))
    cabin.help()
    assert (screen.pixels()[200:280] > 150).any()
    cabin.inputs._script = lambda look: (GO_ON, Pressed())  # type: ignore[attr-defined]
    cabin.calibrate()
    assert choose("keyboard", []) is None
    assert choose("auto", []) is None
    with pytest.raises(ValueError, match="no wheel found: plugged in is nothing"):
        choose("wheel", [])


def test_doubt_fills_its_bar_and_turns_red(screen: Screen) -> None:
    def red(doubt: float) -> int:
        screen.surface.fill((0, 0, 0))
        hud.draw_doubt(screen, doubt)
        return int((screen.pixels() == hud.RED).all(axis=2).sum())

    assert red(0.2) == red(0.9) == 0
    assert 0 < red(1.0) < red(1.4)
    assert red(1.5) == red(9.0)


def test_a_picture_that_was_begun_is_the_one_that_is_drawn() -> None:
    world = World(network(), 1)
    world.reset(np.zeros(1, np.int64), [place().specs[0]])
    here = world.scene.take(np.zeros(1, np.int64))
    ahead = replace(here, ego=here.ego.copy())
    ahead.ego["x"] += 2.0
    [pane] = panes(View.CHASE, *SIZE)
    camera, other = PaneCamera(network(), pane), PaneCamera(network(), pane)
    camera.begin(ahead)
    np.testing.assert_array_equal(camera.draw(ahead), other.draw(ahead))
    camera.begin(ahead)  # but the person restarts, or asks for help
    np.testing.assert_array_equal(camera.draw(here), other.draw(here))


@pytest.mark.parametrize("size", [(1280, 720), (640, 480), (1001, 533)])
def test_the_dashboard_hides_every_row_that_is_not_drawn(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    screen = Screen("test", size)
    screen.surface.fill((255, 0, 255))
    hud.draw_dashboard(screen, 0.3)
    seen = pygame.surfarray.array3d(screen.surface).transpose(1, 0, 2)
    bare = (seen == (255, 0, 255)).all(axis=2).any(axis=1)
    hidden = hud.dashboard_rows(size[1])
    assert 0.1 * size[1] < hidden
    assert not bare[-hidden:].any()
    assert bare[-hidden - 4]
    screen.close()


def test_pages_wrap_their_lines_and_views_fill_the_window(screen: Screen) -> None:
    short = pages.page(screen, "t", ["one line"])
    long = pages.page(screen, "t", ["a line that goes on " * 12])
    assert long.height > short.height
    for view in View:
        area = sum(pane.width * pane.height for pane in panes(view, *SIZE))
        assert 0.99 * SIZE[0] * SIZE[1] <= area <= SIZE[0] * SIZE[1]
    assert View.SPLIT.next() is View.COCKPIT
    assert hud.distance_text(3.0) == "now"
    assert hud.distance_text(42.0) == "in 40 m"
    assert hud.distance_text(340.0) == "in 350 m"
    assert hud.distance_text(1260.0) == "in 1.3 km"
