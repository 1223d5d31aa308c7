"""The views from above, the small one and Roach's: where things land, and what must not matter."""

from dataclasses import replace

import numpy as np
import pytest

from drive_il.actors import ActorKind, LightState
from drive_il.datatypes import Array, Scene
from drive_il.past import FOOTPRINT, Past, no_past
from drive_il.sensors.birdview import BirdView
from drive_il.sensors.roach import CHANNELS, RoachView
from tests.towns_with_traffic import town, traffic_scene, turned, vehicle, walker, with_past


def alone(vehicles: list[Array], walkers: list[Array], n_steps: int = 30) -> Scene:
    """One ego that stands at the first light of the town, and these actors in its frame."""
    scene = traffic_scene(1, 0, 0)
    ego = scene.ego[0]
    cos, sin = np.cos(ego["heading"]), np.sin(ego["heading"])
    for made in (*vehicles, *walkers):
        x, y = float(made["x"][0]), float(made["y"][0])
        made["x"], made["y"] = ego["x"] + cos * x - sin * y, ego["y"] + sin * x + cos * y
        made["heading"] += ego["heading"]
        made["z"] = ego["z"]
    actors = replace(
        scene.actors,
        vehicles=np.concatenate([scene.actors.vehicles[0], *vehicles])[None],
        walkers=np.concatenate([scene.actors.walkers[0], *walkers])[None],
    )
    shape = (1, len(vehicles) + 1, n_steps), (1, len(walkers), n_steps)
    past = Past(
        np.zeros(shape[0], FOOTPRINT),
        np.zeros(shape[1], FOOTPRINT),
        np.zeros((1, scene.actors.lights.shape[1], n_steps), np.uint8),
        np.full((1, n_steps), -1, np.int32),
        np.full(1, -1, np.int32),
        np.zeros(1, np.int32),
    )
    return replace(scene, actors=actors, past=past)


def ranges(channel: Array) -> tuple[int, int, int, int]:
    """First and last row, first and last column of what is not black."""
    rows, columns = np.nonzero(channel)
    return rows.min(), rows.max(), columns.min(), columns.max()


def draw(scene: Scene) -> Array:
    rows = np.arange(scene.n_rows)
    return RoachView(town()).draw(scene, rows)


def test_roach_has_its_layout() -> None:
    view = draw(alone([], []))
    assert view.shape == (1, 15, 192, 192)
    assert view.dtype == np.uint8
    assert CHANNELS[:4] == ("road", "route", "marks", "vehicles_1.5s")
    assert CHANNELS[6:8] == ("vehicles_0s", "walkers_1.5s")
    assert CHANNELS[14] == "lights_0s"
    assert set(np.unique(view[0, 0])) == {0, 255}
    assert set(np.unique(view[0, 2])) <= {0, 120, 255}
    # The ego stands on the road and on its route, 40 pixels from the bottom.
    assert view[0, :2, 151:153, 95:97].min() == 255
    assert view[0, 3:11].max() == 0  # nobody else is there, and the ego is not drawn


def test_a_car_ahead_to_the_left_covers_its_pixels() -> None:
    """4.7 x 1.9 m, 10 m ahead, 2 m left: rows 152 - 5 (10 +- 2.35), columns 96 - 5 (2 +- 0.95)."""
    view = draw(alone([vehicle(ActorKind.CAR, 10.0, 2.0, 0.0)], []))[0]
    for channel in range(3, 7):  # before the episode is old enough the present stands in
        assert ranges(view[channel]) == (90, 113, 81, 90)
        assert (view[channel][90:114, 81:91] == 255).all()
    small = BirdView(town(), actors=True)
    scene = alone([vehicle(ActorKind.CAR, 10.0, 2.0, 0.0)], [])
    assert ranges(small.draw(scene, np.arange(1))[0, 4]) == (47, 56, 42, 45)


def test_walkers_are_drawn_twice_as_large_and_no_box_is_thin() -> None:
    view = draw(alone([vehicle(ActorKind.BICYCLE, 20.0, 0.0, 0.0)], [walker(5.0, -3.0)]))[0]
    assert ranges(view[10]) == (123, 130, 107, 114)  # 0.6 m radius becomes 0.8 m half size
    assert ranges(view[6]) == (48, 55, 92, 99)  # 0.9 m becomes 0.9 m, 0.25 m becomes 0.8 m
    assert view[6][48:56, 92:100].min() == 255


def test_props_and_other_levels_are_not_vehicles_to_roach() -> None:
    scene = alone([vehicle(ActorKind.PROP, 8.0, 0.0, 0.0)], [])
    assert draw(scene)[0, 3:7].max() == 0
    assert BirdView(town(), actors=True).draw(scene, np.arange(1))[0, 4].max() == 255
    scene = alone([vehicle(ActorKind.CAR, 8.0, 0.0, 0.0)], [])
    scene.actors.vehicles["z"][0, 1] += 9.0
    assert draw(scene)[0, 3:7].max() == 0


@pytest.mark.parametrize(
    ("state", "grey"),
    [(LightState.GREEN, 80), (LightState.YELLOW, 170), (LightState.RED, 255), (LightState.OFF, 0)],
)
def test_the_line_of_a_light_has_the_grey_of_its_state(state: LightState, grey: int) -> None:
    scene = alone([], [])
    scene.actors.lights[:] = LightState.OFF
    scene.actors.lights[0, scene.progress["stop_signal"][0]] = state
    ahead = scene.progress["stop_distance"][0] + 0.5 * scene.ego["length"][0]
    for channel in draw(scene)[0, 11:15]:
        assert set(np.unique(channel)) == ({0, grey} if grey else {0})
        if grey:  # 6 pixels wide
            rows = np.flatnonzero(channel[:, 96])
            assert abs(rows.mean() - (152 - 5 * ahead - 0.5)) < 1.0
            assert 5 <= len(rows) <= 7


def test_a_stop_sign_is_shown_until_the_ego_has_halted() -> None:
    scene = alone([], [])
    scene.actors.lights[:] = LightState.OFF
    scene.progress["stop_kind"], scene.progress["stop_served"] = 2, False
    assert draw(scene)[0, 14].max() == 255
    assert BirdView(town(), actors=True).draw(scene, np.arange(1))[0, 6].max() == 255
    scene.progress["stop_served"] = True
    assert draw(scene)[0, 14].max() == 0


def test_history_shows_where_a_car_was_oldest_first() -> None:
    """At 8 m/s it was 12, 8, 4 and 0 m further back: 20 pixels between two moments."""
    scene = with_past(alone([vehicle(ActorKind.CAR, 20.0, 0.0, 0.0, 8.0)], []))
    view = draw(scene)[0]
    assert [ranges(view[k])[0] for k in range(3, 7)] == [100, 80, 60, 40]
    young = replace(scene.past, count=np.full(1, 15, np.int32))  # 0.75 s old
    view = draw(replace(scene, past=young))[0]
    assert [ranges(view[k])[0] for k in range(3, 7)] == [70, 70, 60, 40]


def test_a_scene_that_forgot_says_what_would_help() -> None:
    scene = replace(alone([], []), past=no_past(1))
    with pytest.raises(ValueError, match=r"make the world with history=1\.5"):
        draw(scene)


def test_turning_the_world_changes_nothing() -> None:
    scene = with_past(traffic_scene(4))
    other, network = turned(scene, town(), np.pi / 2, (40.0, -16.0))
    rows = np.arange(4)
    differ = RoachView(network).draw(other, rows) != draw(scene)
    assert differ.mean() < 1e-4
    one = BirdView(town(), actors=True).draw(scene, rows)[:, 4:]
    two = BirdView(network, actors=True).draw(other, rows)[:, 4:]
    assert (one != two).mean() < 1e-4


def test_a_row_looks_the_same_alone_and_among_others(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = with_past(traffic_scene(6))
    roach, small = RoachView(town()), BirdView(town(), actors=True)
    for look in (roach.draw, small.draw):
        whole = look(scene, np.arange(6))
        monkeypatch.setenv("DRIVE_IL_THREADS", "1")
        for row in range(6):
            assert (look(scene, np.array([row]))[0] == whole[row]).all()
            assert (look(scene.take(np.array([row])), np.arange(1))[0] == whole[row]).all()
        assert (look(scene, np.arange(6)[::-1])[::-1] == whole).all()
        monkeypatch.setenv("DRIVE_IL_THREADS", "2")
        assert (look(scene, np.repeat(np.arange(6), 3))[::3] == whole).all()


def test_actors_do_not_change_the_ground_of_the_small_view() -> None:
    scene = traffic_scene(3)
    plain = BirdView(town()).draw(scene, np.arange(3))
    both = BirdView(town(), actors=True).draw(scene, np.arange(3))
    assert plain.shape == (3, 4, 96, 96)
    assert both.shape == (3, 7, 96, 96)
    assert (both[:, :4] == plain).all()
