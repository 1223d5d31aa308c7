"""Pictures for people: where things are in them."""

import numpy as np
import pytest

from drive_il.datatypes import EpisodeSpec, Scene, Start
from drive_il.sensors.views import _EGO_COLOR, _ROUTE_COLOR, SideBySide, captioned
from drive_il.sim import World
from tests.drives import make_route
from tests.roads import straight_road

HEIGHT = 120


def scene_at(**start: float) -> Scene:
    route = make_route([(200.0, 0.0)])
    world = World(straight_road(), 1, [route])
    world.reset(np.zeros(1, int), [EpisodeSpec(route, start=Start(**start))])
    return world.scene


def where(picture: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    """Row and column of each pixel of a colour."""
    return np.argwhere((picture == color).all(axis=2))


def test_panels_stand_side_by_side() -> None:
    view = SideBySide(straight_road(), height=HEIGHT)
    assert (view.width, view.height) == (4 * HEIGHT + 8, HEIGHT)
    picture = view.draw(scene_at(s=20.0))
    assert picture.shape == (HEIGHT, view.width, 3)
    assert (picture[:, 180:184] == 0).all()  # between the panels
    only = SideBySide(straight_road(), ("above",), HEIGHT).draw(scene_at(s=20.0))
    np.testing.assert_array_equal(only, picture[:, 184:304])


def test_the_car_has_its_size_and_the_way_leads_up_from_it() -> None:
    scene = scene_at(s=20.0)
    picture = SideBySide(straight_road(), ("above",), HEIGHT).draw(scene)
    ego = where(picture, _EGO_COLOR)
    height, width = np.ptp(ego, axis=0) + 1
    per_metre = HEIGHT / 60.0
    assert height == pytest.approx(scene.ego["length"][0] * per_metre, abs=1.0)
    assert width == pytest.approx(scene.ego["width"][0] * per_metre, abs=1.0)
    way = where(picture, _ROUTE_COLOR)
    assert len(way) > 20
    assert way[:, 0].max() < ego[:, 0].min() + 2
    assert abs(way[:, 1].mean() - (HEIGHT - 1) / 2) < 1.0


def test_a_car_left_of_its_way_sees_it_on_the_right() -> None:
    view = SideBySide(straight_road(), ("above",), HEIGHT)
    way = where(view.draw(scene_at(s=20.0, lateral_error=4.0)), _ROUTE_COLOR)
    assert way[:, 1].mean() == pytest.approx((HEIGHT - 1) / 2 + 4.0 * HEIGHT / 60.0, abs=1.0)
    way = where(view.draw(scene_at(s=20.0, heading_error=0.3)), _ROUTE_COLOR)
    assert way[way[:, 0].argmin(), 1] > HEIGHT / 2 + 10  # it bends off to the right


@pytest.mark.parametrize(
    ("panels", "height", "message"),
    [
        (("driver", "side"), 120, "panels must be some of driver, above, semantic, got"),
        ((), 120, "panels must be some of"),
        (("driver",), 8, "height must be at least 32 pixels, got 8"),
    ],
)
def test_views_there_are_not(panels: tuple[str, ...], height: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SideBySide(straight_road(), panels, height)


@pytest.mark.parametrize("width", [240, 480, 1280])
def test_a_caption_is_whole_in_a_picture_of_any_width(width: int) -> None:
    blank = np.zeros((320, width, 3), np.uint8)
    text = "12.0 s, step 240  46 km/h  changelaneleft  policy steers -0.12  label +0.11"
    lit = captioned(blank, text).any(axis=2)
    assert lit.any()
    assert not lit[:, -2:].any()  # nothing is cut off on the right
    # As much is written in a narrow picture as in a wide one.
    wide = captioned(np.zeros((320, 1280, 3), np.uint8), text).any(axis=2)
    assert lit.sum() == pytest.approx(wide.sum(), rel=0.01)
