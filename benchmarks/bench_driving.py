"""What does one picture cost a person who drives, 1280x720 with instruments, by view?

In alder among 30 vehicles and 15 walkers, between two steps, on SDL's dummy screen: all that
`drive-il drive` does for a picture but for handing it to the display. 60 a second are 16.7 ms
each; a step of the world, three pictures long, is measured too.
"""

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from drive_il.actors import Traffic
from drive_il.datatypes import EpisodeSpec, Scene, Start
from drive_il.display.between import between
from drive_il.display.cameras import View
from drive_il.display.hud import Instruments
from drive_il.display.screen import Screen
from drive_il.display.wayfinding import next_order
from drive_il.experts.planner import Planner
from drive_il.human.bindings import Bindings
from drive_il.human.inputs import Inputs
from drive_il.human.person import Part, Person
from drive_il.maps import library
from drive_il.maps.planning import RoutePlanner
from drive_il.maps.suites import make_suite
from drive_il.sim.world import World
from drive_il.sitting.cabin import SIZE, Cabin

NETWORK = library.load("alder")
ROW = np.zeros(1, np.int64)


def under_way() -> World:
    [record] = make_suite(NETWORK, 0, 1, seed=1)
    route = RoutePlanner(NETWORK).plan(record.keypoints)
    world = World(NETWORK, 1, [route])
    traffic = Traffic(vehicles=30, walkers=15, signals=True)
    world.reset(ROW, [EpisodeSpec(route, 0, start=Start(s=60.0, speed=8.0), traffic=traffic)])
    return world


@pytest.fixture
def scenes() -> tuple[Scene, Scene]:
    world, expert = under_way(), Planner()
    before = world.scene.take(ROW)
    world.step(expert.control(world.scene))
    return before, world.scene.take(ROW)


@pytest.mark.parametrize("view", list(View))
def test_one_picture(
    benchmark: BenchmarkFixture,
    monkeypatch: pytest.MonkeyPatch,
    scenes: tuple[Scene, Scene],
    view: View,
) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    screen, bindings = Screen("benchmark", SIZE), Bindings()
    cabin = Cabin(NETWORK, screen, Inputs(bindings), Person(Part.DRIVES), bindings, view)
    before, after = scenes
    seen = Instruments(
        *(28.8, 50.0, "D", 0.4, 0.0, 0.1, next_order(after), 12.0, 0.1, "you drive"),
        by_hand=True,
        recording=True,
        doubt=0.4,
    )

    def draw() -> None:
        cabin.draw(between(before, after, 0.5), seen)
        cabin.show()

    draw()
    benchmark(draw)
    benchmark.extra_info["pictures_per_second"] = round(1.0 / benchmark.stats.stats.median)
    cabin.close()


def test_one_step(benchmark: BenchmarkFixture) -> None:
    world, expert = under_way(), Planner()
    control = expert.control(world.scene)
    benchmark(world.step, control)
