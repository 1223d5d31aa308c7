"""drive-il leaderboard baselines: the entries that come with the project."""

from __future__ import annotations

import tempfile
from pathlib import Path

from drive_il.cli.leaderboard import Bar
from drive_il.cli.processes import ONE_PER_CORE, Workers

_MODELS = {
    "ALVINN": "alvinn",
    "Behaviour cloning": "bc",
    "Behaviour cloning, augmented": "bc_augmented",
    "DAgger": "dagger",
    "Behaviour cloning, in traffic": "bc_in_traffic",
    "Behaviour cloning, augmented, in traffic": "bc_augmented_in_traffic",
    "Behaviour cloning, waypoints, in traffic": "bc_waypoints_in_traffic",
    "Behaviour cloning, noise, in traffic": "bc_noise_in_traffic",
    "DAgger, in traffic": "dagger_in_traffic",
    "SafeDAgger, in traffic": "safe_dagger_in_traffic",
}
"""Name of an entry -> its folder below leaderboard/models. Those in traffic are the models of
`reproduce learners --observation camera`, the others were taught on empty roads; cards say how"""
_SUITES = ("alder_test", "birch_test", "alder_scenarios")


def _protocol_for(suite: str) -> str:
    """Returns the protocol whose routes are of the suite's kind.

    Short routes with one scenario each are Bench2Drive's, routes among nothing but traffic those
    of leaderboard 1.0. Leaderboard 2.1's minimum speed is made for routes of 7 to 9 km: setting
    out from rest costs whoever drives these some 10 points (docs/expert.md).
    """
    return "bench2drive" if suite.endswith("_scenarios") else "lb1"


def baselines(
    date: str,
    suites: tuple[str, ...] = _SUITES,
    folder: Path = Path("leaderboard"),
    routes: Path = Path("routes"),
    work: Path = Path("runs/leaderboard/baselines"),
    seed: int = 0,
    check_routes: int = 3,
    workers: Workers = ONE_PER_CORE,
) -> None:
    """Runs and submits the expert and the models that come with the project on shipped suites.

        drive-il leaderboard baselines --date 2026-11-24
        drive-il leaderboard page

    Suites of scenarios are judged as Bench2Drive does, the others as leaderboard 1.0 does. An
    interrupted run goes on; what is finished is not driven again. An entry that is refused does
    not keep the others from being made; exit code 1 says that there was one.

    Args:
        date: of the entries, YYYY-MM-DD.
        suites: names of route files.
        folder: the leaderboard's, with `models/` and `entries/`.
        routes: folder of the route files.
        work: folder for results and recorded drives.
        seed: of everything random.
        check_routes: routes that are driven again before an entry is written.
        workers: how many processes work.
    """
    from drive_il import submission
    from drive_il.cli.progress import bar
    from drive_il.entry import POLICY, Entry, run
    from drive_il.evaluation import entry_file, results_file

    who = {"Expert": ("expert", "")}
    who |= {name: (POLICY, str(folder / "models" / model)) for name, model in _MODELS.items()}
    refused = []
    for suite in suites:
        for name, (agent, config) in who.items():
            label = f"{Path(config or agent).name}-{suite}"
            entry = Entry(
                agent=agent,
                agent_config=config,
                routes=str(routes / f"{suite}.xml"),
                protocol=_protocol_for(suite),
                seed=seed,
                record=str(work / label),
            )
            out = work / f"{label}.json"
            with bar() as progress:
                run(entry, out, out.exists(), workers.number, Bar(progress, f"{name} on {suite}"))
            document = results_file.load(out)
            facts = {"name": name, "date": date, "links": {}}
            with tempfile.TemporaryDirectory(prefix="drive-il-") as scratch, bar() as progress:
                watcher = Bar(progress, f"{name}: driving {check_routes} routes again")
                try:
                    made = submission.submit(
                        document, entry, facts, Path(scratch), check_routes, workers.number, watcher
                    )
                except ValueError as error:
                    refused.append(f"{name} on {suite}: {error}")
                    continue
            print(f"wrote {entry_file.write(made, folder / 'entries')}")
    if refused:
        raise RuntimeError("refused: " + "; ".join(refused))
