"""Collision and lane-invasion sensors: events, in the ego's frame."""

import math

import numpy as np
import pytest
from drives import make_scene

from drive_il.actors import Struck
from drive_il.maps.network import MarkType
from drive_il.sensors.contacts import collision, lane_invasion


def test_a_blow_from_ahead_pushes_backwards_whatever_the_heading() -> None:
    scene = make_scene(4)
    headings = np.array([0.0, 1.0, -2.0, 3.0])
    scene.ego["heading"] = headings
    scene.events["struck"][:3], scene.events["struck_id"][:3] = Struck.VEHICLE, 7
    scene.events["impulse_x"][:3] = -500.0 * np.cos(headings[:3])
    scene.events["impulse_y"][:3] = -500.0 * np.sin(headings[:3])
    seen = collision(scene, np.arange(4))
    assert seen["collision"].tolist() == [1, 1, 1, 0]
    assert seen["collision_id"].tolist() == [7, 7, 7, 0]
    assert seen["collision_impulse"][:3] == pytest.approx(np.array([[-500.0, 0.0]] * 3), abs=1e-4)
    assert not seen["collision_impulse"][3].any()


def test_a_blow_from_the_right_pushes_to_the_left() -> None:
    scene = make_scene(1)
    scene.ego["heading"] = math.pi / 2
    scene.events["struck"], scene.events["impulse_x"] = Struck.STATIC, -30.0
    seen = collision(scene, np.arange(1))
    assert seen["collision"][0] == Struck.STATIC
    assert seen["collision_impulse"][0] == pytest.approx((0.0, 30.0), abs=1e-5)


def test_crossed_marks_are_told_by_side() -> None:
    scene = make_scene(2)
    scene.events["left_mark"][1] = MarkType.BROKEN
    scene.events["right_mark"][1] = MarkType.SOLID
    assert lane_invasion(scene, np.array([1, 0])).tolist() == [
        [MarkType.BROKEN, MarkType.SOLID],
        [0, 0],
    ]
