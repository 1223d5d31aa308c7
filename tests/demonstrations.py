"""Small data sets for tests: a straight road, a picture of 2x4 pixels."""

from pathlib import Path

from drive_il.dataset import EpisodeWriter
from drive_il.datatypes import Episode, EpisodeSpec
from drive_il.experts.planner import Planner
from drive_il.gates import Mixture
from drive_il.rollout import drive
from drive_il.sim import World
from tests.drives import PoseObserver, Wobbly, completed, make_route, specs_on
from tests.roads import straight_road

ROUTES = [make_route([(150, 0)], id="a/../b"), make_route([(20, 0), (60, 0.02)], id="b")]


def demonstrations(specs: list[EpisodeSpec], **options: object) -> list[Episode]:
    """Half policy, half expert, every state labelled."""
    arguments = {"expert": Planner(), "gate": Mixture(0.5), "stop": completed} | options
    return drive(World(straight_road(), 4), PoseObserver(), Wobbly(), specs, **arguments)


def small_set(folder: Path, n: int = 4, max_steps: int = 40, first: int = 0) -> Path:
    """Writes n drives on two routes into a folder."""
    specs = specs_on(ROUTES, first + n, max_steps)[first:]
    writer = EpisodeWriter(folder, facts={"commit": "abc"})
    for episode in demonstrations(specs):
        writer(episode)
    return folder
