"""drive-il leaderboard: run an agent over routes, look at its results, compare, submit, show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.table import Table

from drive_il.cli.processes import ONE_PER_CORE, Workers
from drive_il.cli.where import EMBEDDED, Where

if TYPE_CHECKING:
    from drive_il.evaluation.comparison import Change
    from drive_il.evaluation.protocol import Protocol
    from drive_il.experiments.jobs import Job

ProtocolName = Literal["lb1", "lb2.0", "lb2.1", "bench2drive", "nocrash", "corl2017"]


def run(
    agent: str,
    routes: Path,
    agent_config: str = "",
    routes_subset: str = "",
    scenarios: Path | None = None,
    traffic: str = "protocol",
    protocol: ProtocolName = "lb2.1",
    upstream_bugs: bool = False,
    track: str = "SENSORS",
    repetitions: int = 1,
    seed: int = 0,
    workers: Workers = ONE_PER_CORE,
    where: Where = EMBEDDED,
    out: Path = Path("runs/leaderboard/results.json"),
    resume: bool = False,
    record: Path | None = None,
    errors: bool = True,
    agent_python: Path | None = None,
    sandbox: bool = False,
    untrusted: bool = False,
    allow_privileged: bool = False,
    agent_memory: float = 8.0,
) -> None:
    """Drives an agent over routes, judges it as a protocol does, and writes a results file.

        drive-il leaderboard run --agent my_agent.py --routes routes/alder_test.xml
        drive-il leaderboard run --agent expert --routes routes/alder_scenarios.xml
        drive-il leaderboard run --agent drive_il --agent-config runs/bc --routes routes/dell.xml

    The results file has the structure and field names of CARLA's, with ours beside them, and is
    rewritten whole after each drive. The same command gives the same scores, whatever the
    number of workers, if the agent is deterministic itself.

    Args:
        agent: file of an agent in CARLA's interface (leaderboard 1.0, 2.x or Bench2Drive; the
            file as it is), "expert", or "drive_il" for a trained model folder.
        routes: route file in CARLA's XML.
        agent_config: handed to the agent as it is; with --agent drive_il the model folder.
        routes_subset: ids of routes, such as 0-4 or 1,6; all if not given.
        scenarios: scenario file of leaderboard 1.0 (JSON); 2.x has them in the routes.
        traffic: "none", "protocol" (what the protocol has in that town), a number of
            vehicles, or one of nocrash's "empty", "regular" and "dense" and corl2017's "static"
            and "dynamic". These two drive every route in all their weathers; with "protocol"
            among all their crowds.
        protocol: how drives are judged and scored.
        upstream_bugs: judge with the original's known faults (docs/leaderboard.md).
        track: SENSORS or MAP (leaderboard 2: also SENSORS_QUALIFIER, MAP_QUALIFIER); must be
            the agent's own.
        repetitions: drives of each route, each with other random numbers.
        seed: decides everything random.
        workers: how many processes work.
        where: the world, and the CARLA servers; each worker takes one of those.
        out: the results file.
        resume: go on with an interrupted run's results file; nothing is driven twice.
        record: also keep every drive as an episode in this folder (for replay and the page).
        errors: measure how errors compound: a second drive of each route, by the expert, in
            which the agent only answers.
        agent_python: interpreter of the agent, Python >= 3.7 with numpy; this one if not given.
        sandbox: run the agent under bubblewrap: no network, read-only files.
        untrusted: refuse to run the agent without the sandbox.
        allow_privileged: the agent may declare that it sees the truth.
        agent_memory: resident set that the agent may have [GiB].
    """
    from drive_il.cli.progress import bar
    from drive_il.entry import Entry
    from drive_il.entry import run as run_entry

    entry = Entry(
        agent=agent,
        routes=str(routes),
        agent_config=agent_config,
        routes_subset=routes_subset,
        scenarios="" if scenarios is None else str(scenarios),
        traffic=traffic,
        protocol=protocol,
        upstream_bugs=upstream_bugs,
        track=track,
        repetitions=repetitions,
        seed=seed,
        errors=errors,
        record="" if record is None else str(record),
        python="" if agent_python is None else str(agent_python),
        sandbox=sandbox,
        untrusted=untrusted,
        allow_privileged=allow_privileged,
        memory=agent_memory,
        world=where,
    )
    with bar() as progress:
        watcher = Bar(progress, f"{agent} on {routes.name}")
        document = run_entry(entry, out, resume, workers.number, watcher)
    _print(document)
    print(f"wrote {out}")
    if document["entry_status"] == "Rejected":
        raise RuntimeError("the entry is rejected: the agent's sensors are invalid, see above")


class Bar:
    """Shows how much of the driving is done, by length of route."""

    def __init__(self, progress: Any, title: str) -> None:
        self._progress, self._task = progress, progress.add_task(title, total=None)
        self._share: dict[str, float] = {}
        self._weight: dict[str, float] = {}

    def begin(self, jobs: Sequence[Job], n_finished: int) -> None:
        """Hears what is to be done."""
        self._weight = {job.name: job.weight for job in jobs}
        self._progress.update(self._task, total=100)

    def update(self, job: Job, share: float, note: str) -> None:
        """Hears how far a job is."""
        self._share[job.name] = share
        done = sum(self._weight[name] * part for name, part in self._share.items())
        whole = sum(self._weight.values())
        self._progress.update(self._task, completed=round(100.0 * done / whole) if whole else 100)


def show(results: Annotated[Path, tyro.conf.Positional], /) -> None:
    """Prints a results file: scores with intervals, infractions, each drive, compounding errors.

    Args:
        results: written by `drive-il leaderboard run`, or an entry.
    """
    from drive_il.evaluation.entry_file import results_of

    _print(results_of(results))


def compare(
    a: Annotated[Path, tyro.conf.Positional],
    b: Annotated[Path, tyro.conf.Positional],
    /,
    tolerance: float = 0.0,
    seed: int = 0,
) -> None:
    """Compares two results files, drive by drive; exit code 1 when B is worse than A.

    Drives are paired by route, repetition and seed. B is worse when the 95 % interval of the
    difference of driving scores lies below -tolerance: usable as a gate in CI.

        drive-il leaderboard compare main.json branch.json --tolerance 1
        drive-il leaderboard compare leaderboard/entries/dagger-birch-test-lb1.json mine.json

    Args:
        a: the results to compare with; an entry will do.
        b: the results to judge.
        tolerance: a loss of driving score that is put up with.
        seed: of the bootstrap.
    """
    from drive_il.evaluation import comparison
    from drive_il.evaluation.entry_file import results_of
    from drive_il.evaluation.infractions import WORDS, Kind

    found = comparison.compare(results_of(a), results_of(b), seed)
    left, right = (a.name, b.name) if a.name != b.name else (str(a), str(b))
    table = Table("", left, right, "difference", "95 %", title=_pairs(found))
    for one in found.scores:
        table.add_row(*_row(one.name, one))
    for one in found.infractions:
        if one.a or one.b:
            table.add_row(*_row(f"{WORDS[Kind(one.name)][0]} [1/km]", one))
    Console().print(table)
    if found.is_regression(tolerance):
        raise RuntimeError(
            f"{b} is worse than {a}: driving score {found.scores[0].difference:+.2f}"
            + (f", beyond the tolerance of {tolerance:g}" if tolerance else "")
        )


def _pairs(found: Any) -> str:
    text = f"{found.n_pairs} paired drives of {found.n_routes} routes"
    for name, rest in (("A", found.only_a), ("B", found.only_b)):
        if rest:
            text += f"; {len(rest)} only in {name}"
    return text


def _row(label: str, change: Change) -> tuple[str, ...]:
    interval = "one route" if change.low is None else f"[{change.low:+.3f}, {change.high:+.3f}]"
    mark = " *" if change.is_certain else ""
    numbers = (f"{change.a:.3f}", f"{change.b:.3f}", f"{change.difference:+.3f}")
    return (label, *numbers, interval + mark)


def submit(
    results: Annotated[Path, tyro.conf.Positional],
    /,
    name: str,
    date: str,
    link: tuple[str, ...] = (),
    record: Path | None = None,
    agent: str = "",
    agent_config: str = "",
    routes: Path | None = None,
    scenarios: Path | None = None,
    check_routes: int = 3,
    entries: Path = Path("leaderboard/entries"),
    workers: Workers = ONE_PER_CORE,
) -> None:
    """Checks results, makes some of their drives again, and writes an entry of the leaderboard.

        drive-il leaderboard submit results.json --name "My agent" --date 2026-11-24
        drive-il leaderboard submit results.json --name ... --date ... --link code=https://...

    Structure, plan, seeds, maps, versions and scores must follow from the records. Then routes
    drawn at random are driven again: on the same processor, threads, code and versions every
    bit must match; elsewhere the scores of at least 5 routes must agree. The entry says which.

    Args:
        results: written by `drive-il leaderboard run`.
        name: of the entry, as the table shows it; the file is named by it.
        date: of the entry, YYYY-MM-DD.
        link: label=https://..., such as code=... or paper=...; repeat the values.
        record: folder with the recorded drives, for the replays; that of the run if not given.
        agent: where the agent lies now, if elsewhere than in the run.
        agent_config: where its config lies now.
        routes: where the route file lies now.
        scenarios: where the scenario file lies now.
        check_routes: routes to drive again.
        entries: folder that takes the entry.
        workers: how many processes work.
    """
    import tempfile

    from drive_il import submission
    from drive_il.cli.progress import bar
    from drive_il.evaluation import entry_file, results_file

    links = {label: address for label, _, address in (one.partition("=") for one in link)}
    moved = {"agent": agent, "agent_config": agent_config, "record": record}
    moved |= {"routes": routes, "scenarios": scenarios}
    document = results_file.load(results)
    changes = {key: str(value) for key, value in moved.items() if value}
    entry = submission.recorded_entry(document, changes)
    with tempfile.TemporaryDirectory(prefix="drive-il-submit-") as scratch, bar() as progress:
        made = submission.submit(
            document,
            entry,
            {"name": name, "date": date, "links": links},
            Path(scratch),
            check_routes,
            workers.number,
            Bar(progress, f"driving {check_routes} routes again"),
        )
    path = entry_file.write(made, entries)
    check = "every bit matched" if made.check["kind"] == "bits" else "the scores agreed"
    print(f"{made.check['n_drives']} drives made again, {check}")
    print(f"wrote {path}, {path.stat().st_size / 1000:.0f} kB")


def page(entries: Path = Path("leaderboard/entries"), out: Path = Path("runs/leaderboard")) -> None:
    """Writes the leaderboard as a static site, which needs no network and no server.

    Beside the folder of entries, README.md gets the same table.

        drive-il leaderboard page
        drive-il leaderboard page --entries my/entries --out site

    Args:
        entries: folder of entries.
        out: folder of the site; open its index.html.
    """
    from drive_il.evaluation import entry_file
    from drive_il.evaluation import page as site
    from drive_il.maps import library

    found = entry_file.load_all(entries)
    index = site.write(found, out, library.load)
    readme = entries.resolve().parent / "README.md"
    if site.update_readme(readme, found):
        print(f"wrote the table into {readme}")
    print(f"wrote {index}, {len(found)} entries")


def _print(document: Mapping[str, Any]) -> None:
    from drive_il.evaluation.results_file import Plan, drive_name

    console, ours = Console(), document["drive_il"]
    plan, records = ours["plan"], document["_checkpoint"]["records"]
    protocol = Plan.from_facts(plan).protocol
    title = f"{plan['agent']} by {plan['protocol']}: {document['entry_status']}"
    scores = ours["scores"]
    if scores is not None:
        title += ", " + ", ".join(
            f"{label} {_with_interval(scores['mean'][name], scores['interval'][name])}"
            for label, name in (
                ("driving score", "score_composed"),
                ("route completion", "score_route"),
                ("infraction penalty", "score_penalty"),
            )
        )
    table = Table(
        "route", "town", "status", "score", "completed", "penalty", "infractions", title=title
    )
    for record in records:
        result = record["drive_il"]["result"]
        table.add_row(
            drive_name(result["route"], result["repetition"]),
            result["town"],
            record["status"],
            f"{record['scores']['score_composed']:.1f}",
            f"{record['scores']['score_route']:.1f}",
            f"{record['scores']['score_penalty']:.3f}",
            _counts(protocol, record["infractions"]),
        )
    console.print(table)
    for line in _failures(document):
        print(line)
    if scores is not None and scores.get("conditions"):
        console.print(_conditions(scores["conditions"]))
    done, asked = document["_checkpoint"]["progress"]
    if done < asked:
        print(f"{done} of {asked} drives made: go on with --resume")
    if "compounding" in ours:
        console.print(_compounding(ours["compounding"]))


_SHOWN = 3  # different failures of an agent that are told, the first with what it said last
_LAST_WORDS = 15  # lines of that


def _failures(document: Mapping[str, Any]) -> list[str]:
    """Returns why an agent failed: each reason once, with the drives that it cost."""
    from drive_il.evaluation.results_file import drive_name, failures

    found, lines = failures(document), []
    for k, one in enumerate(found[:_SHOWN]):
        more = f" and {len(one.drives) - 1} more" if len(one.drives) > 1 else ""
        lines.append(f"route {drive_name(*one.drives[0])}{more}: {one.reason}")
        if k == 0:
            lines += [f"    {line}" for line in one.detail.splitlines()[-_LAST_WORDS:]]
    if len(found) > _SHOWN:
        lines.append(f"and {len(found) - _SHOWN} other reasons, see the results file")
    return lines


def _conditions(found: Sequence[Mapping[str, Any]]) -> Table:
    """The table of the papers: crowds below one another, towns and weathers side by side."""
    columns = list(dict.fromkeys((one["town"], one["weathers"]) for one in found))
    heads = [f"{town}, {weathers} weathers" for town, weathers in columns]
    table = Table("crowd", *heads, title="success rate [%]")
    by_place = {(one["crowd"], one["town"], one["weathers"]): one for one in found}
    for crowd in dict.fromkeys(one["crowd"] for one in found):
        cells = [by_place.get((crowd, *column)) for column in columns]
        texts = ["-" if one is None else _success(one) for one in cells]
        table.add_row(crowd, *texts)
    return table


def _success(one: Mapping[str, Any]) -> str:
    return f"{_with_interval(one['success_rate'], one['interval'])}, {one['n_drives']} drives"


def _with_interval(value: float, interval: Sequence[float] | None) -> str:
    return f"{value:.2f}" + (f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "")


def _counts(protocol: Protocol, infractions: Mapping[str, Sequence[str]]) -> str:
    from drive_il.evaluation.infractions import WORDS, Kind

    faults = {Kind(name): one for name, one in infractions.items()}
    parts = [
        (WORDS[kind][0], len(all_)) for kind, all_ in faults.items() if protocol.is_fault(kind)
    ]
    return ", ".join(name if n == 1 else f"{n} {name}" for name, n in parts if n)


def _compounding(found: Mapping[str, Any]) -> Table:
    table = Table(
        "", "value", "95 %", title=f"how errors compound, over {found['n_drives']} drives"
    )
    for name in ("eps_expert", "eps_own"):
        one = found[name]
        table.add_row(name, f"{one['value']:.4f}", f"[{one['low']:.4f}, {one['high']:.4f}]")
    last = str(found["horizons"][-1])
    for name in ("absorbing", "recoverable"):
        one = found[name][last]
        label = f"J({last}) above the expert's, {name} [steps]"
        table.add_row(label, f"{one['gap']:.1f}", f"[{one['low']:.1f}, {one['high']:.1f}]")
    exponent, bounds = found["exponent"], found["bounds"]
    if exponent["value"] is None:
        table.add_row("growth exponent", "-", exponent["reason"])
    else:
        interval = f"[{exponent['low']:.2f}, {exponent['high']:.2f}]"
        table.add_row("growth exponent", f"{exponent['value']:.2f}", interval)
    vacuous = " (vacuous)" if bounds["cloning_vacuous"] else ""
    table.add_row("T^2 eps_expert [steps]", f"{bounds['cloning']:.1f}{vacuous}", "")
    for name, label in (
        ("gap_over_cloning", "gap / T^2 eps_expert"),
        ("gap_per_disagreement", "gap per disagreement [steps]"),
    ):
        value = bounds[name]
        table.add_row(label, "-" if value is None else f"{value:.3f}", "")
    return table
