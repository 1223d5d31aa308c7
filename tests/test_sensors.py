"""The range finder, the state vector and the bird's-eye raster."""

import math

import numpy as np
import pytest

from drive_il.datatypes import CONTROL, EpisodeSpec, Scene, Start
from drive_il.maps.network import SignalKind
from drive_il.sensor_specs import CameraSpec, ObservationSpec
from drive_il.sensors import range_finder
from drive_il.sensors.birdview import CHANNELS, EGO_ROW, PIXEL, SIZE
from drive_il.sensors.observer import SceneObserver
from drive_il.sensors.state import STATE_NAMES
from drive_il.sim import World
from tests.drives import make_route
from tests.roads import straight_road

NETWORK = straight_road()
ROUTE = make_route([(300.0, 0.0)])


def scene(**start: float) -> Scene:
    """An ego on the straight lane, whose centre is the route: y = 0 in the route's frame."""
    world = World(NETWORK, 1, [ROUTE])
    world.reset(np.zeros(1, np.int64), [EpisodeSpec(ROUTE, start=Start(s=100.0, **start))])
    return world.scene


def see(name: str, where: Scene) -> np.ndarray:
    spec = ObservationSpec(cameras=(), range_finder=True, birdview=True, state=True)
    return np.asarray(SceneObserver(NETWORK, spec).observe(where, np.array([0]))[name][0])


def test_the_flat_road_answers_the_range_finder_in_closed_form() -> None:
    seen = see("range_finder", scene())
    elevation = np.linspace(range_finder.TOP, range_finder.BOTTOM, range_finder.N_ROWS)
    for row in range(4, 8):  # these meet the road within 12 m
        distance = range_finder.HEIGHT / math.sin(-elevation[row])
        middle = seen[row, 12:20]
        np.testing.assert_allclose(middle, 1.0 - distance / range_finder.RANGE, rtol=1e-5)
    assert seen.shape == (8, 32)
    assert ((seen >= 0.0) & (seen <= 1.0)).all()


def test_the_state_says_how_the_ego_lies_in_its_lane() -> None:
    state = dict(
        zip(
            STATE_NAMES,
            see("state", scene(lateral_error=0.4, heading_error=0.1, speed=7.0)).tolist(),
            strict=True,
        )
    )
    assert state["lateral_error"] == pytest.approx(0.4, abs=1e-5)
    assert state["heading_error"] == pytest.approx(0.1, abs=1e-5)
    assert state["speed"] == pytest.approx(7.0)
    assert state["curvature_0m"] == state["curvature_40m"] == 0.0


def test_who_stands_knows_for_how_long_and_whether_at_his_stop_sign() -> None:
    """The standing time counts in steps, is 4 s at most, and begins anew when the ego moves."""
    world = World(NETWORK, 1, [ROUTE])
    world.reset(np.zeros(1, np.int64), [EpisodeSpec(ROUTE, start=Start(s=100.0))])
    observer = SceneObserver(NETWORK, ObservationSpec(cameras=(), state=True, standing=True))
    control = np.zeros(1, CONTROL)
    control["brake"] = 1.0
    for step in range(1, 101):
        world.step(control)
        time, at_sign = observer.observe(world.scene, np.array([0]))["standing"][0]
        assert time == pytest.approx(min(0.05 * step, 4.0), abs=1e-6)
        assert at_sign == 0.0
    world.scene.progress["stop_served"] = True
    for kind, at_sign in ((SignalKind.LIGHT, 0.0), (SignalKind.STOP, 1.0)):
        world.scene.progress["stop_kind"] = kind
        seen = observer.observe(world.scene, np.array([0]))["standing"]
        assert seen[0].tolist() == [4.0, at_sign]
    control["brake"], control["throttle"] = 0.0, 1.0
    for _ in range(20):
        world.step(control)
    assert observer.observe(world.scene, np.array([0]))["standing"][0, 0] == 0.0


def test_the_birdview_shows_the_lane_that_the_route_runs_in() -> None:
    seen = see("birdview", scene())
    route = seen[CHANNELS.index("route")] > 0
    across = np.flatnonzero(route[EGO_ROW - 1])
    width = float(ROUTE.points["lane_width"][0])
    assert len(across) * PIXEL == pytest.approx(width, abs=2 * PIXEL)
    assert across.mean() == pytest.approx(SIZE / 2 - 0.5, abs=1.0)
    turned = see("birdview", scene(heading_error=math.pi / 2))[CHANNELS.index("route")] > 0
    assert turned[EGO_ROW - 1].mean() > 0.9  # the ego looks across its route


def test_cameras_with_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="'speed' is taken"):
        SceneObserver(NETWORK, ObservationSpec(cameras=(CameraSpec(name="speed"),)))
