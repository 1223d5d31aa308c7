"""The loop: independence of rows, metering of labels, order, completeness."""

from dataclasses import replace

import numpy as np
import pytest

from drive_il.actors import Traffic
from drive_il.datatypes import (
    CONTROL,
    Bools,
    Episode,
    EpisodeSpec,
    Ints,
    Observation,
    Outcome,
    Records,
    Scene,
    Start,
    State,
    Who,
)
from drive_il.experts.planner import Planner
from drive_il.gates import AskAlways, ExpertDrives, Mixture
from drive_il.protocols import Query
from drive_il.rollout import Step, drive, scene_of
from drive_il.sim import World
from tests.drives import PoseObserver, Wobbly, assert_same, completed, make_route, specs_on
from tests.roads import straight_road

ROUTES = [
    make_route([(150, 0)], id="a"),
    make_route([(20, 0), (30, 0.02), (80, 0)], id="b"),
    make_route([(12, 0)], id="short"),
]


def run(n_rows: int, specs: list[EpisodeSpec], **options: object) -> list[Episode]:
    arguments: dict[str, object] = {"expert": Planner(), "gate": Mixture(0.3), "stop": completed}
    return drive(
        World(straight_road(), n_rows), PoseObserver(), Wobbly(), specs, **(arguments | options)
    )


def test_episodes_do_not_depend_on_the_number_of_rows() -> None:
    specs = specs_on(ROUTES, 11)
    alone = run(1, specs)
    assert [episode.spec for episode in alone] == specs
    for n_rows in (3, 16):
        for a, b in zip(alone, run(n_rows, specs), strict=True):
            assert_same(a, b)


def test_rows_that_have_nothing_to_drive_any_more_have_an_empty_road() -> None:
    """A world steps all its rows: traffic around an idle one would cost time for nothing."""
    specs = [EpisodeSpec(ROUTES[0], k, 20 + 20 * k, traffic=Traffic(vehicles=3)) for k in range(2)]
    seen: list[tuple[int, int]] = []

    def listener(step: Step) -> None:
        others = (step.scene.actors.vehicles["id"] != 0).sum(axis=1) - 1
        idle = ~step.active
        seen.append((int(others[idle].sum()), int(others[step.active].sum())))

    episodes = run(4, specs, listener=listener, gate=None, expert=None)
    assert all(idle == 0 for idle, _ in seen[:-1])  # after the last step nothing is emptied
    assert seen[30][1] == 3  # one of two drives is still under way, among its traffic
    for alone, together in zip(run(1, specs, gate=None, expert=None), episodes, strict=True):
        assert_same(alone, together)


def test_a_row_holds_one_state_and_observation_more_than_controls() -> None:
    for episode in run(4, specs_on(ROUTES, 6)):
        n_steps = episode.n_steps
        assert len(episode.ego) == len(episode.progress) == len(episode.weather) == n_steps + 1
        assert all(len(value) == n_steps + 1 for value in episode.observations.values())
        assert all(len(value) == n_steps for value in episode.info.values())
        assert len(episode.who) == len(episode.expert_control) == n_steps
        # What was seen belongs to the state it is stored with, the last one included.
        assert np.array_equal(episode.observations["speed"], episode.ego["speed"].astype("f4"))
        assert np.array_equal(
            episode.observations["rgb"][:, 0, 0, 0],
            (episode.ego["x"] * 7 % 256).astype(np.uint8),
        )
        # The policy's memory began afresh, and what it saw is what was recorded.
        assert np.array_equal(episode.info["n_acts"], np.arange(1, n_steps + 1))
        assert np.array_equal(episode.info["frame"], episode.observations["rgb"][:-1, 0, 0])


def test_outcomes_and_step_limits() -> None:
    spec = EpisodeSpec(ROUTES[0], max_steps=40)
    long = EpisodeSpec(ROUTES[2], max_steps=2000)
    at_the_end = EpisodeSpec(ROUTES[2], start=Start(s=11.0))
    episodes = run(2, [spec, long, at_the_end], gate=ExpertDrives())
    assert [episode.outcome for episode in episodes] == [
        Outcome.TRUNCATED,
        Outcome.COMPLETED,
        Outcome.COMPLETED,
    ]
    assert episodes[0].n_steps == 40
    assert episodes[2].n_steps == 0
    endless = drive(
        World(straight_road(), 1),
        None,
        None,
        [replace(long, max_steps=400)],
        expert=Planner(),
        gate=ExpertDrives(),
    )
    assert endless[0].n_steps == 400  # without a stop function nothing ends early
    assert endless[0].ego["speed"][-1] < 1e-6


def test_without_a_gate_the_policy_drives_and_nobody_is_asked() -> None:
    for episode in run(3, specs_on(ROUTES, 4), gate=None, expert=None):
        assert episode.labels == 0
        assert (episode.who == Who.POLICY).all()
        assert np.isnan(episode.expert_control["steer"]).all()
        assert episode.control.tobytes() == episode.policy_control.tobytes()


def test_expert_drives_without_policy_or_observer() -> None:
    episodes = drive(
        World(straight_road(), 2),
        None,
        None,
        specs_on(ROUTES, 3),
        expert=Planner(),
        gate=ExpertDrives(),
    )
    for episode in episodes:
        assert episode.control.tobytes() == episode.expert_control.tobytes()
        assert np.isnan(episode.policy_control["steer"]).all()
        assert episode.labels == episode.n_steps
        assert not episode.observations


def test_labels_are_what_the_expert_says_of_the_recorded_states() -> None:
    for episode in run(4, specs_on(ROUTES, 5)):
        again = Planner().control(scene_of(episode))[:-1]
        assert again.tobytes() == episode.expert_control.tobytes()


class Peeking:
    """Looks at the expert twice at even steps, and at an idle row; asks for nothing."""

    def initial_memory(self, n_rows: int) -> State:
        return {"n": np.zeros(n_rows, np.int64)}

    def decide(
        self,
        memory: State,
        scene: Scene,
        observation: Observation,
        control: Records,
        query: Query,
    ) -> tuple[State, Ints, Bools]:
        rows = np.flatnonzero(memory["n"] % 2 == 0)
        first, second = query(rows), query(rows)
        assert first.tobytes() == second.tobytes()
        memory = {"n": memory["n"] + 1}
        return memory, np.zeros(scene.n_rows, np.uint8), np.zeros(scene.n_rows, np.bool_)


def test_a_peek_costs_one_label_per_row_and_step() -> None:
    for episode in run(8, specs_on(ROUTES, 3), gate=Peeking()):
        assert episode.labels == -(-episode.n_steps // 2)
        assert np.array_equal(episode.asked, np.arange(episode.n_steps) % 2 == 0)
        assert np.isfinite(episode.expert_control["steer"][episode.asked]).all()
        assert np.isnan(episode.expert_control["steer"][~episode.asked]).all()


@pytest.mark.parametrize("budget", [0, 1, 59, 60, 61, 200, 10_000])
def test_label_budget_is_granted_in_order_whatever_the_number_of_rows(budget: int) -> None:
    specs = specs_on(ROUTES, 9)
    whole = run(1, specs, gate=AskAlways())
    total = sum(episode.labels for episode in whole)
    granted = [run(n, specs, gate=AskAlways(), label_budget=budget) for n in (1, 2, 7)]
    assert sum(episode.labels for episode in granted[0]) == min(budget, total)
    for episodes in granted[1:]:
        assert len(episodes) == len(granted[0])
        for a, b in zip(granted[0], episodes, strict=True):
            assert_same(a, b)
    for a, b in zip(granted[0][:-1], whole, strict=False):
        assert_same(a, b)
    if 0 < budget < total and granted[0][-1].n_steps < whole[len(granted[0]) - 1].n_steps:
        assert granted[0][-1].outcome == Outcome.ABORTED


def test_a_sink_takes_the_episodes_and_none_is_kept() -> None:
    specs, taken = specs_on(ROUTES, 7), list[Episode]()
    assert run(3, specs, sink=taken.append) == []
    by_seed = sorted(taken, key=lambda episode: episode.spec.seed)
    for a, b in zip(by_seed, run(3, specs), strict=True):
        assert_same(a, b)
    taken.clear()
    run(3, specs, sink=taken.append, label_budget=300)
    assert [episode.spec for episode in taken] == specs[: len(taken)]


def test_interruption_leaves_finished_episodes_with_the_sink() -> None:
    taken = list[Episode]()

    def interrupt(step: Step) -> None:
        if step.n_finished >= 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(2, specs_on(ROUTES, 9), sink=taken.append, listener=interrupt)
    assert len(taken) == 2


def test_listener_hears_every_step() -> None:
    heard = list[tuple[int, int]]()
    specs = specs_on(ROUTES[:1], 5)
    episodes = run(2, specs, listener=lambda s: heard.append((s.n_finished, int(s.active.sum()))))
    assert heard[-1] == (5, 0)
    assert [n for n, _ in heard] == sorted(n for n, _ in heard)
    alone = run(1, specs[:1], listener=lambda s: heard.append((s.n_specs, 0)))
    assert len(heard) >= alone[0].n_steps
    assert len(episodes) == 5


def test_pedals_replace_throttle_and_brake_only_and_cost_nothing() -> None:
    steering_only = run(3, specs_on(ROUTES, 3), gate=None, pedals=Planner())
    for episode in steering_only:
        pushed = Planner().control(scene_of(episode))[:-1]
        assert episode.labels == 0
        assert np.array_equal(episode.control["throttle"], pushed["throttle"])
        assert np.array_equal(episode.control["brake"], pushed["brake"])
        assert not np.array_equal(episode.control["steer"], pushed["steer"])


def test_observations_are_left_out_on_request_and_only_active_rows_are_seen() -> None:
    observer = PoseObserver()
    world = World(straight_road(), 8)
    specs = specs_on(ROUTES[:2], 3)
    episodes = drive(world, observer, Wobbly(), specs, keep_observations=False)
    assert not episodes[0].observations
    assert observer.n_frames == sum(episode.n_steps for episode in episodes)
    for a, b in zip(episodes, run(8, specs, gate=None, stop=None), strict=True):
        assert a.ego.tobytes() == b.ego.tobytes()


class Broken(Wobbly):
    """Says NaN in row 1 from its step 3 on."""

    def act(self, observation: Observation, state: State) -> tuple[Records, State, State]:
        control, state, info = super().act(observation, state)
        control["steer"][1] = np.nan if state["n_acts"][1] > 3 else 0.0
        return control, state, info


def test_invalid_controls_name_row_step_and_value() -> None:
    world = World(straight_road(), 3)
    with pytest.raises(ValueError, match=r"steer of row 1 at step 3 .*nan"):
        drive(world, PoseObserver(), Broken(), specs_on(ROUTES, 3))


class Misshapen(Wobbly):
    def act(self, observation: Observation, state: State) -> tuple[Records, State, State]:
        return np.zeros(1, CONTROL), state, {}


def test_missing_pieces_are_named() -> None:
    world, specs = World(straight_road(), 2), specs_on(ROUTES, 1)
    with pytest.raises(ValueError, match="needs a policy"):
        drive(world, None, None, specs)
    with pytest.raises(ValueError, match="needs an expert"):
        drive(world, None, None, specs, gate=ExpertDrives())
    with pytest.raises(ValueError, match="needs an observer"):
        drive(world, None, Wobbly(), specs)
    with pytest.raises(ValueError, match="no policy was given"):
        drive(world, None, None, specs, gate=AskAlways(), expert=Planner())
    with pytest.raises(ValueError, match="label_budget"):
        run(2, specs, label_budget=-1)
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        drive(world, PoseObserver(), Misshapen(), specs)
    assert drive(world, PoseObserver(), Wobbly(), []) == []


def test_who_else_was_there_may_be_left_out() -> None:
    specs = [replace(spec, traffic=Traffic(vehicles=3)) for spec in specs_on(ROUTES, 3)]
    for whole, lean in zip(run(2, specs), run(2, specs, keep_actors=False), strict=True):
        assert whole.vehicles.shape[1] > 1
        assert lean.vehicles.shape == (lean.n_steps + 1, 0)
        assert np.array_equal(lean.ego, whole.ego)
        assert np.array_equal(lean.expert_control, whole.expert_control)
