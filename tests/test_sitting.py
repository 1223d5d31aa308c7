"""What a sitting is made of, without a window: time, pictures in between, taking back, studies."""

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from drive_il.actors import LightState, Traffic
from drive_il.cli import main
from drive_il.datatypes import (
    VEHICLE,
    Bools,
    Command,
    Episode,
    EpisodeSpec,
    Outcome,
    Records,
    Scene,
    Who,
    nan_control,
)
from drive_il.display.between import between
from drive_il.display.wayfinding import next_order
from drive_il.evaluation.judge import Judge, judge_episode
from drive_il.evaluation.protocol import LB21
from drive_il.experts.planner import Planner
from drive_il.gates import ExpertDrives
from drive_il.human.bindings import Bindings
from drive_il.maps import library, routes
from drive_il.networks import DrivingPolicy, driving_network
from drive_il.rollout import drive
from drive_il.rounds import Rounds
from drive_il.sim.world import World
from drive_il.sitting.by_hand import keys_by_action, report, title_of
from drive_il.sitting.clock import RealTime
from drive_il.sitting.corrections import Moments, Resumed, ResumedJudge, joined
from drive_il.sitting.demonstrations import Demonstrations
from drive_il.sitting.guided import LESSONS, Guide
from drive_il.sitting.study import Condition, Study, StudyFolder, create, table, williams
from drive_il.sitting.teach import Doubting, improved, trusted_below
from drive_il.theory.forks import replay
from tests.drives import make_scene
from tests.ring_drives import ROUNDS, SMALL, SPEC, demonstrations, place

ROOT = Path(__file__).parents[1]


class Clock:
    """A clock that only waiting, drawing and the world move; what is drawn is a share of a step."""

    def __init__(self, drawing: float) -> None:
        self.now, self.drawing = 0.0, drawing
        self.shares, self.seen_at = list[float](), list[float]()
        self.foretold = list[float | None]()

    def show(self, share: float, following: float | None) -> None:
        if self.foretold:
            assert self.foretold[-1] in (None, share)  # what was begun is shown
        self.seen_at.append(self.now)
        self.now += self.drawing
        self.foretold.append(following)
        self.shares.append(share)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def real_time(self) -> RealTime[float]:
        return RealTime(0.05, 60.0, self.show, lambda: self.now, self.sleep)

    def run(self, steps: int, world: float = 0.0) -> None:
        """Lets a world take its time before each step."""
        time = self.real_time()
        for _ in range(steps):
            self.now += world
            time.step(lambda share: share)


def test_three_pictures_a_step_evenly_in_real_time() -> None:
    clock = Clock(drawing=0.004)
    clock.run(steps=20)
    np.testing.assert_allclose(clock.shares, ([1 / 3, 2 / 3, 1.0] * 20)[:-1])
    np.testing.assert_allclose(np.diff(clock.seen_at), 0.05 / 3)


def test_a_step_of_the_world_holds_no_picture_up() -> None:
    clock = Clock(drawing=0.004)
    clock.run(steps=20, world=0.008)  # of the 12.7 ms between a picture and the next
    np.testing.assert_allclose(np.diff(clock.seen_at), 0.05 / 3)


def test_a_slow_machine_draws_fewer_pictures_and_still_keeps_time() -> None:
    clock = Clock(drawing=0.03)
    clock.run(steps=20)
    assert clock.now == pytest.approx(20 * 0.05, rel=0.05)
    assert len(clock.shares) < 45
    assert clock.shares.count(1.0) == 19  # each step's own state is shown, the last one's next


def test_the_next_picture_is_foretold_and_not_when_time_is_short() -> None:
    clock = Clock(drawing=0.0)
    time = clock.real_time()
    for step in range(3):
        time.step(lambda share, step=step: step + share)  # type: ignore[misc]
        clock.now += 0.06 if step == 1 else 0.0  # a world that took too long, once
    np.testing.assert_allclose(np.array(clock.foretold[:4], float), [2 / 3, 1.0, 4 / 3, 5 / 3])
    assert clock.foretold[5] is None
    assert clock.shares[5:] == [2.0]  # it was begun before, and the two after it came too late


def test_a_machine_that_cannot_follow_shows_slow_motion_and_does_not_race_after_it() -> None:
    clock = Clock(drawing=0.2)
    clock.run(steps=10)
    assert clock.shares.count(1.0) == 9
    assert clock.now >= 10 * 0.2
    fast = Clock(0.001)
    time = fast.real_time()
    time.step(lambda share: share)
    fast.now += 10.0  # a pause that nobody told it of
    time.step(lambda share: share)
    before = fast.now
    time.step(lambda share: share)
    assert fast.now == pytest.approx(before + 0.05)


def moved(x: float, heading: float, other_x: float, other_id: int = 7) -> Scene:
    scene = make_scene(1)
    ego, vehicles = scene.ego.copy(), np.zeros((1, 2), VEHICLE)
    ego["x"], ego["heading"] = x, heading
    vehicles["id"][0] = 1, other_id
    vehicles["x"][0] = x, other_x
    return replace(scene, ego=ego, actors=replace(scene.actors, vehicles=vehicles))


@given(share=st.floats(0.0, 1.0))
def test_between_two_states_poses_are_on_the_way(share: float) -> None:
    before, after = moved(0.0, 3.1, 5.0), moved(1.0, -3.1, 6.0)
    half = between(before, after, share)
    assert half.ego["x"][0] == pytest.approx(share)
    turn = 2 * np.pi - 6.2  # over the back, not all the way round
    gone = (half.ego["heading"][0] - 3.1) % (2 * np.pi)
    assert min(gone, 2 * np.pi - gone) == pytest.approx(share * turn, abs=1e-9)
    assert half.actors.vehicles["x"][0, 1] == pytest.approx(5.0 + share)
    assert before.ego["x"][0] == 0.0
    assert after.ego["x"][0] == 1.0


def test_who_has_appeared_or_been_put_elsewhere_is_not_dragged_there() -> None:
    before, after = moved(0.0, 0.0, 5.0), moved(1.0, 0.0, 90.0)
    assert between(before, after, 0.5).actors.vehicles["x"][0, 1] == 90.0
    assert between(before, moved(1.0, 0.0, 6.0, 8), 0.5).actors.vehicles["x"][0, 1] == 6.0
    assert between(before, after, 1.0) is after


def test_the_next_order_and_how_far_it_is() -> None:
    network = library.load("alder")
    [route, *_] = routes.load_routes(ROOT / "routes" / "alder_test.xml", library.load)
    world = World(network, 1)
    world.reset(np.array([0]), [EpisodeSpec(route)])
    found = next_order(world.scene)
    points = route.points
    turns = np.flatnonzero(points["command"] != Command.LANEFOLLOW)
    assert found.command == points["command"][turns[0]]
    assert found.distance == pytest.approx(points["s"][turns[0]] - world.scene.progress["s"][0])
    plain = points.copy()
    plain["command"] = Command.LANEFOLLOW
    world.reset(np.array([0]), [EpisodeSpec(replace(route, points=plain))])
    assert next_order(world.scene).command == Command.LANEFOLLOW
    assert next_order(world.scene).distance == pytest.approx(route.length, abs=1.0)


class Script:
    """A driver who turns the wheel by the step; None never, to see the expert alone."""

    def __init__(self, steer: float) -> None:
        self.steer = steer

    def act(self, scene: Scene) -> tuple[Records, Bools]:
        said = nan_control(1)
        said[0] = 0.6, 0.0, self.steer * np.sin(0.1 * scene.step[0])
        return said, np.ones(1, np.bool_)


def test_a_drive_that_was_taken_back_is_as_if_it_had_been_driven_so_at_once() -> None:
    network = library.load("alder")
    [route, *_] = routes.load_routes(ROOT / "routes" / "alder_test.xml", library.load)
    spec = EpisodeSpec(route, 3, 90, traffic=Traffic(vehicles=20, walkers=10, signals=True))
    world, judge = World(network, 1), Judge(network, LB21, 1)
    moments = Moments(world, 0.05)
    options = {"expert": Planner(network=network), "gate": ExpertDrives()}
    [first] = drive(
        world,
        None,
        None,
        [spec],
        driver=Script(0.3),
        judge=judge,
        listener=lambda step: moments.note(int(step.scene.step[0])) if step.active[0] else None,
        keep_observations=False,
        **options,  # type: ignore[arg-type]
    )
    assert first.n_steps == 90
    chosen = next(one for one in moments.all if one.step == 50)
    [rest] = drive(
        Resumed(world, chosen),
        None,
        None,
        [spec],
        driver=Script(-0.2),
        judge=ResumedJudge(judge, first, chosen.step),
        keep_observations=False,
        **options,  # type: ignore[arg-type]
    )
    whole = joined(first, chosen.step, rest)
    assert (whole.n_steps, len(whole.ego)) == (90, 91)
    np.testing.assert_array_equal(whole.control[:50], first.control[:50])
    assert (whole.who == Who.HUMAN).all()
    [again] = replay(World(network, 1), [spec], [whole.control])
    np.testing.assert_array_equal(again.ego, whole.ego)
    np.testing.assert_array_equal(again.vehicles, whole.vehicles)
    assert judge.result(0) == judge_episode(network, LB21, whole)


def test_slots_that_only_one_part_has_are_empty_in_the_other() -> None:
    [long, *_] = demonstrations()
    more = replace(long, lights=np.full((len(long.ego), 2), LightState.GREEN, np.uint8))
    whole = joined(long, 5, more)
    assert (whole.lights[:5] == LightState.OFF).all()
    assert (whole.lights[5:] == LightState.GREEN).all()


def test_moments_reach_thirty_seconds_back_and_forget_what_was_taken_back() -> None:
    class Counting:
        def snapshot(self, rows: object) -> str:
            return "snapshot"

    moments = Moments(Counting(), 0.05)  # type: ignore[arg-type]
    for step in range(1001):
        moments.note(step)
    steps = [one.step for one in moments.all]
    assert steps == list(range(400, 1001, 10))
    moments.note(703, now=True)
    assert [one.step for one in moments.all][-2:] == [700, 703]
    moments.note(704)
    assert moments.all[-1].step == 703


def test_the_guide_goes_on_when_a_thing_is_done() -> None:
    guide = Guide(keys_by_action(Bindings()))
    scene = make_scene(1)
    assert guide.text == "Hold W until the car does 15 km/h"
    assert guide.watch(scene) == ""
    scene.ego["speed"] = 5.0
    assert guide.watch(scene) == "That is it"
    assert "brake" in guide.text
    scene.ego["speed"] = 0.0
    assert "SPACE" in guide.watch(scene)
    scene.progress["s"] = 90.0
    assert "TAB" in guide.watch(scene)
    assert guide.at == len(LESSONS) - 1
    scene.progress["completed"] = True
    guide.watch(scene)
    assert guide.is_over
    assert guide.text == ""
    assert guide.watch(scene) == ""


def test_drives_are_kept_with_who_and_how_and_thrown_away_at_once(tmp_path: Path) -> None:
    from drive_il.dataset_file import EpisodeFile

    files = Demonstrations(tmp_path / "drives", 0, "ada", "keyboard")
    [episode, *_] = demonstrations()
    assert not files.has(episode.spec)
    path = files.keep(episode, {"part": "drives"})
    facts = EpisodeFile(path).header["facts"]
    assert (facts["who"], facts["device"], facts["part"]) == ("ada", "keyboard", "drives")
    again = files.keep(replace(episode, outcome=Outcome.ABORTED), {"taken_back": []})
    assert again == path
    assert EpisodeFile(path).load().outcome == Outcome.ABORTED
    assert files.discard(episode.spec)
    assert not files.discard(episode.spec)
    assert not path.exists()


@pytest.mark.parametrize("n", range(1, 8))
def test_orders_are_balanced(n: int) -> None:
    """Williams: every condition equally often in every place, and after every other one."""
    rows = williams(n)
    assert all(sorted(row) == list(range(n)) for row in rows)
    places = Counter((k, one) for row in rows for k, one in enumerate(row))
    assert set(places.values()) == {len(rows) // n}
    after = Counter(pair for row in rows for pair in zip(row, row[1:], strict=False))
    assert len(after) == n * (n - 1)
    assert len(set(after.values())) <= 1


STUDY = Study(
    "Who takes over when?", (Condition("alone"), Condition("m", "M"), Condition("k", "K"))
)


def test_people_are_numbers_with_balanced_orders(tmp_path: Path) -> None:
    create(tmp_path, STUDY, "You agree.\n")
    folder = StudyFolder(tmp_path)
    assert folder.study == STUDY
    people = [folder.admit() for _ in range(6)]
    assert folder.sitters() == people
    assert len({one.id for one in people}) == 6
    assert all(re.fullmatch("[0-9a-f]{6}", one.id) for one in people)
    assert len({one.order for one in people}) == 6
    first = Counter(one.order[0] for one in people)
    assert set(first.values()) == {2}
    assert folder.find(people[2].id) == people[2]
    with pytest.raises(ValueError, match="nobody in"):
        folder.find("zzzzzz")
    with pytest.raises(ValueError, match="exists; give another folder"):
        create(tmp_path, STUDY, "")


def test_a_study_that_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no study\.toml"):
        StudyFolder(tmp_path)
    with pytest.raises(ValueError, match="conditions with different names"):
        Study("x", (Condition("a"), Condition("a")))
    (tmp_path / "study.toml").write_text('title = "x"\nspeed = 3\n[[conditions]]\nname = "a"\n')
    with pytest.raises(ValueError, match="speed"):
        StudyFolder(tmp_path)


def lap(who: list[int], doubt: float) -> Episode:
    [whole, *_] = demonstrations()
    drove = np.array(who, np.uint8)
    info = {"doubt": np.full(len(drove), doubt)}
    assert whole.n_steps == len(drove)
    return replace(whole, who=drove, asked=drove == Who.HUMAN, info=info)


def test_takeovers_are_exported_a_row_per_lap(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create(tmp_path, STUDY, "You agree.\n")
    folder = StudyFolder(tmp_path)
    sitter = folder.admit()
    files = Demonstrations(folder.laps(sitter), 0, sitter.id, "keyboard")
    human, policy = [int(Who.HUMAN)], [int(Who.POLICY)]
    one = lap(10 * policy + 5 * human + 10 * policy + 15 * human, 0.25)
    facts = {"condition": "m", "lap": 1, "part": "corrects", "score": 61.5, "infractions": 2}
    files.keep(one, facts)
    [row] = folder.rows()
    assert row["takeovers"] == 2
    assert row["takeover_at"] == [0.5, 1.25]
    assert row["takeover_doubt"] == [0.25, 0.25]
    assert row["by_hand_share"] == 0.5
    assert row["mean_takeover_seconds"] == 0.5
    metres = one.progress["s_max"][-1] - one.progress["s"][0]
    assert row["takeovers_per_km"] == pytest.approx(2000.0 / metres, rel=1e-3)
    assert row["place"] == sitter.order.index("m") + 1
    assert json.loads(table([row], "json")) == [row]
    head, line, *rest = table([row], "csv").splitlines()
    assert rest == []
    assert dict(zip(head.split(","), line.split(","), strict=True))["takeover_at"] == "0.5 1.25"
    main(["study", "export", str(tmp_path)])
    assert capsys.readouterr().out.splitlines() == [head, line]


def test_a_policy_is_taught_by_hand_and_the_better_one_is_kept() -> None:
    at = place()
    network = replace(SMALL, members=2)
    config = replace(ROUNDS, n_rounds=2, network=network)
    policy = DrivingPolicy(driving_network(network, SPEC, 1), network, SPEC, {"learner": "bc"})
    run = Rounds(at, config, 0)
    run.resume(policy)
    for a, b in zip(
        run.policy.network.state_dict().values(), policy.network.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b)
    by_hand = [replace(one, who=np.full(one.n_steps, Who.HUMAN)) for one in demonstrations()]
    run.take(by_hand)
    taught = run.fit(2)
    assert run.labels == sum(one.labels for one in by_hand)
    assert run.account[-1]["expert_share"] == 1.0
    assert run.scores[1] > run.scores[0]
    assert run.best("hg_dagger", config).network.state_dict().keys() == (
        taught.network.state_dict().keys()
    )
    lines = improved(run.scores, by_hand[0], run.labels)
    assert any("better" in line for line in lines)
    assert "after lap 1" in lines[-1]
    assert "as it came" in improved([0.9, 0.8], by_hand[0], 1)[-1]
    assert "after lap 1" in improved([0.9, 0.9], by_hand[0], 1)[-1]
    [seen, *_] = by_hand
    _, _, info = Doubting(taught).act(dict(seen.observations), {})
    below = trusted_below(taught, by_hand)
    assert below is not None
    assert (info["doubt"] >= 0.0).all()
    assert (info["doubt"] <= below).mean() > 0.8
    card = replace(taught, card={"doubt_threshold": 0.5})
    assert trusted_below(card, ()) == 0.5
    assert trusted_below(taught, ()) is None


def test_a_drive_that_was_left_says_so() -> None:
    network = library.load("alder")
    [route, *_] = routes.load_routes(ROOT / "routes" / "alder_test.xml", library.load)
    judge = Judge(network, LB21, 1)
    drive(
        World(network, 1),
        None,
        None,
        [EpisodeSpec(route, max_steps=100)],
        expert=Planner(network=network),
        gate=ExpertDrives(),
        judge=judge,
        stop=lambda scene: np.where(scene.step >= 5, Outcome.ABORTED, Outcome.RUNNING),
        keep_observations=False,
    )
    assert title_of(judge.result(0)) == "You left the drive"
    assert report(LB21, judge.result(0))[-1] == "No infraction."
    assert judge.infractions(0) == ()
