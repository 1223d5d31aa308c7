"""A small leaderboard run with all that entries show: infractions, errors, recorded drives."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from drive_il.entry import Entry, run
from drive_il.evaluation.entry_file import EntryFile
from drive_il.evaluation.results_file import load
from drive_il.experiments.jobs import Job

ROUGH = """
from drive_il.experts.planner import Planner

def get_entry_point():
    return "Rough"

class Rough(Planner):
    '''Steers as the expert does and never brakes.'''

    privileged = True

    def __init__(self, network, config):
        super().__init__(network=network)

    def control(self, scene):
        control = super().control(scene)
        control["brake"], control["throttle"] = 0.0, 0.7
        return control
"""


class Unwatched:
    """Nobody looks on."""

    def begin(self, jobs: Sequence[Job], n_finished: int) -> None:
        pass

    def update(self, job: Job, share: float, note: str) -> None:
        pass


def rough_run(folder: Path) -> tuple[Entry, dict[str, Any]]:
    """Three short routes driven roughly; results.json and the drives lie in the folder."""
    agent = folder / "rough.py"
    agent.write_text(ROUGH)
    entry = Entry(
        agent=str(agent),
        routes=str(Path(__file__).parents[1] / "routes" / "alder_test.xml"),
        routes_subset="1,3,10",
        traffic="60",
        seed=5,
        record=str(folder / "drives"),
        allow_privileged=True,
    )
    run(entry, folder / "results.json", False, 1, Unwatched())
    return entry, load(folder / "results.json")


def as_entry(document: dict[str, Any], name: str = "Rough & ready", **changes: Any) -> EntryFile:
    """An entry of these results; what is not said is made up."""
    check = {"kind": "bits", "routes": ["3"], "n_drives": 1}
    facts = {"date": "2026-03-01", "links": {"code": "https://example.org/rough"}, "check": check}
    return EntryFile(**{"name": name, "results": document, "replays": (), **facts, **changes})
