"""drive-il: the command line.

Sub-commands import lazily: only the one that was typed loads its rooms, so that
commands without learning answer at once although torch alone takes seconds to import.
Exit codes: 0 done, 1 failed, 2 bad usage.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import tyro

import drive_il


@dataclass(frozen=True)
class _Command:
    """One sub-command: where its function is, and what it says in the list."""

    target: str  # module:function
    summary: str


_Tree = dict[str, "_Command | _Group"]


@dataclass(frozen=True)
class _Group:
    """A word with sub-commands of its own."""

    summary: str
    commands: _Tree


_COMMANDS: _Tree = {
    "reproduce": _Group(
        "Re-run a claim from data to figure and page.",
        {
            "covariate-shift": _Command(
                "drive_il.cli.reproduce:covariate_shift",
                "Behaviour cloning falls apart with the horizon, DAgger does not.",
            ),
            "alvinn": _Command(
                "drive_il.cli.reproduce:alvinn",
                "Shifted views and a balanced buffer rescue a road follower.",
            ),
            "learners": _Command(
                "drive_il.cli.reproduce:learners",
                "All learners on the same routes in the same traffic, one table and page.",
            ),
            "gail": _Command(
                "drive_il.cli.reproduce:gail",
                "With few demonstrations, practice without labels beats cloning.",
            ),
            "query-efficiency": _Command(
                "drive_il.cli.reproduce:query_efficiency",
                "How much success an expert's label buys, by who decides when to ask.",
            ),
            "regimes": _Command(
                "drive_il.cli.reproduce:regimes",
                "When cloning suffices, when weights help, when only asking does.",
            ),
            "certificates": _Command(
                "drive_il.cli.reproduce:certificates",
                "Cloning to HG-DAgger, certified: bounds against the road.",
            ),
        },
    ),
    "theory": _Group(
        "What theory promises, where everything is known.",
        {
            "exact": _Command(
                "drive_il.cli.theory:exact", "Small processes: exact cost, simulated cost, bound."
            ),
            "coverage": _Command(
                "drive_il.cli.theory:coverage",
                "How often the estimators' intervals hold the truth.",
            ),
        },
    ),
    "drive": _Command("drive_il.cli.drive:drive", "Sit down and drive; keep the drives."),
    "teach": _Command(
        "drive_il.cli.teach:teach", "A policy drives, you correct it, between laps it learns."
    ),
    "study": _Group(
        "Several people drive, in balanced orders, without names.",
        {
            "create": _Command("drive_il.cli.study:create", "Begin a study."),
            "sit": _Command("drive_il.cli.study:sit", "One person's sitting."),
            "export": _Command("drive_il.cli.study:export", "What everybody did, as CSV or JSON."),
        },
    ),
    "record": _Command(
        "drive_il.cli.data:record", "Let the expert drive a town and keep the episodes."
    ),
    "dataset": _Group(
        "Recorded episodes: look, check, choose, take elsewhere.",
        {
            "info": _Command("drive_il.cli.data:info", "What a dataset holds."),
            "verify": _Command("drive_il.cli.data:verify", "Check every file of a dataset."),
            "stats": _Command("drive_il.cli.dataset:stats", "What a dataset teaches, in numbers."),
            "view": _Command("drive_il.cli.dataset:view", "An episode as a picture or a clip."),
            "review": _Command("drive_il.cli.dataset:review", "Watch, keep, cut and label."),
            "merge": _Command("drive_il.cli.dataset:merge", "Make one dataset of several."),
            "split": _Command("drive_il.cli.dataset:split", "Divide it into parts."),
            "repair": _Command(
                "drive_il.cli.dataset:repair", "Rescue what a killed recording has finished."
            ),
            "export": _Command(
                "drive_il.cli.exchange:export", "Write it in LeRobot's or Minari's format."
            ),
            "import": _Command(
                "drive_il.cli.exchange:import_back", "Make episodes of an export again."
            ),
        },
    ),
    "train": _Group(
        "Train a learner and save a model folder.",
        {
            "alvinn": _Command("drive_il.cli.train:train_alvinn", "ALVINN (Pomerleau 1989)."),
            "alvinn-1991": _Command(
                "drive_il.cli.train:train_alvinn_1991", "ALVINN on the fly (Pomerleau 1991)."
            ),
            "bc": _Command(
                "drive_il.cli.train:train_bc", "Behaviour cloning, with or without augmentation."
            ),
            "cil": _Command("drive_il.cli.train:train_cil", "CIL (Codevilla et al. 2018)."),
            "cilrs": _Command("drive_il.cli.train:train_cilrs", "CILRS (Codevilla et al. 2019)."),
            "pilotnet": _Command(
                "drive_il.cli.train:train_pilotnet", "PilotNet (Bojarski et al. 2016)."
            ),
            "chauffeurnet": _Command(
                "drive_il.cli.train:train_chauffeurnet", "ChauffeurNet (Bansal et al. 2018)."
            ),
            "dagger": _Command(
                "drive_il.cli.train_interactive:train_dagger",
                "DAgger (Ross, Gordon, Bagnell 2011).",
            ),
            "safe-dagger": _Command(
                "drive_il.cli.train_interactive:train_safe_dagger",
                "SafeDAgger (Zhang, Cho 2017).",
            ),
            "hg-dagger": _Command(
                "drive_il.cli.train_interactive:train_hg_dagger",
                "HG-DAgger (Kelly et al. 2019).",
            ),
            "ensemble-dagger": _Command(
                "drive_il.cli.train_interactive:train_ensemble_dagger",
                "EnsembleDAgger (Menda et al. 2019).",
            ),
            "lazy-dagger": _Command(
                "drive_il.cli.train_interactive:train_lazy_dagger",
                "LazyDAgger (Hoque et al. 2021).",
            ),
            "thrifty-dagger": _Command(
                "drive_il.cli.train_interactive:train_thrifty_dagger",
                "ThriftyDAgger (Hoque et al. 2021).",
            ),
            "confidence-based": _Command(
                "drive_il.cli.train_interactive:train_confidence_based",
                "Confidence-based autonomy (Chernova, Veloso 2009).",
            ),
            "dart": _Command(
                "drive_il.cli.train_interactive:train_dart",
                "DART (Laskey et al. 2017).",
            ),
            "stagger": _Command(
                "drive_il.cli.train_interactive:train_stagger",
                "Warm-Stagger (Li, Zhang 2024).",
            ),
            "gail": _Command("drive_il.cli.train_adversarial:train_gail", "GAIL (Ho, Ermon 2016)."),
            "airl": _Command(
                "drive_il.cli.train_adversarial:train_airl", "AIRL (Fu, Luo, Levine 2018)."
            ),
            "sqil": _Command(
                "drive_il.cli.train_adversarial:train_sqil", "SQIL (Reddy, Dragan, Levine 2019)."
            ),
        },
    ),
    "evaluate": _Command(
        "drive_il.cli.evaluate:evaluate", "Drive the expert or a model over routes and score it."
    ),
    "certify": _Command(
        "drive_il.cli.certify:certify",
        "The certificate of a policy: its errors against every bound, and where they begin.",
    ),
    "leaderboard": _Group(
        "Score driving agents as CARLA's leaderboard does.",
        {
            "run": _Command(
                "drive_il.cli.leaderboard:run", "Drive an agent over routes and score it."
            ),
            "show": _Command("drive_il.cli.leaderboard:show", "Print a results file."),
            "compare": _Command(
                "drive_il.cli.leaderboard:compare", "What changed between two results files."
            ),
            "submit": _Command(
                "drive_il.cli.leaderboard:submit", "Check results and make an entry of them."
            ),
            "page": _Command(
                "drive_il.cli.leaderboard:page", "Write the leaderboard as a static site."
            ),
            "baselines": _Command(
                "drive_il.cli.baselines:baselines", "Make the entries that come with the project."
            ),
        },
    ),
    "replay": _Command(
        "drive_il.cli.replay:replay", "Drive a recorded drive again, bit for bit, and film it."
    ),
    "show": _Command(
        "drive_il.cli.show:show", "A clip of the expert in traffic: camera, from above, classes."
    ),
    "maps": _Group(
        "The shipped towns, and maps of your own.",
        {
            "list": _Command("drive_il.cli.maps:list_maps", "Every map that can be named."),
            "show": _Command("drive_il.cli.maps:show", "Draw a map, or a close-up, as a picture."),
            "generate": _Command("drive_il.cli.maps:generate", "Make a new town as OpenDRIVE."),
            "import": _Command("drive_il.cli.maps:import_map", "Take in an OpenDRIVE file."),
            "fetch": _Command("drive_il.cli.maps:fetch", "Take in the map of a CARLA server."),
        },
    ),
    "serve": _Command("drive_il.cli.serve:serve", "Be a CARLA server: no GPU, no Unreal."),
    "speed": _Command("drive_il.cli.machine:speed", "How fast this machine runs it."),
    "warmup": _Command("drive_il.cli.machine:warmup", "Compile all kernels ahead of time."),
}

_FAILURES = (ValueError, OSError, ImportError, RuntimeError)
"""what is told in a line; all else is a fault of ours, with its traceback"""

_EPILOGUE = """Imitation learning for driving: an embedded world on real road networks, experts,
learners, and the bounds on their compounding errors.

First steps: `drive-il reproduce covariate-shift` runs the main experiment;
`drive-il show` writes a clip of the expert in traffic; `drive-il maps list` shows the towns;
every command explains itself with --help.
`drive-il --version` says which version this is."""


def _load(target: str) -> Callable[..., Any]:
    module, _, name = target.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)

    @functools.wraps(function)
    def command(*values: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever it takes
        try:
            return function(*values, **named)
        except BrokenPipeError:
            raise
        except _FAILURES as error:
            _give_up(error, 1)

    return command


def _give_up(error: Exception, code: int) -> NoReturn:
    """Says in a line what went wrong, and ends."""
    if os.environ.get("DRIVE_IL_TRACEBACK"):
        raise error
    print(f"drive-il: {error}", file=sys.stderr)
    raise SystemExit(code) from None


def _placeholder(summary: str) -> Callable[[], None]:
    def listed() -> None:
        raise AssertionError("a command that was not typed cannot run")

    listed.__doc__ = summary
    return listed


def _build(tree: _Tree, words: Sequence[str]) -> tyro.extras.SubcommandApp:
    """Builds the parser with only the typed command loaded."""
    app = tyro.extras.SubcommandApp()
    for name, entry in tree.items():
        if words[:1] != [name]:
            app.command(name=name)(_placeholder(entry.summary))
        elif isinstance(entry, _Group):
            app.command(_build(entry.commands, words[1:]), name=name)
        else:
            app.command(name=name)(_load(entry.target))
    return app


def _run(words: Sequence[str]) -> None:
    app = _build(_COMMANDS, words)
    app.cli(
        prog="drive-il",
        description=_EPILOGUE,
        args=words or ["--help"],
    )


def main(args: Sequence[str] | None = None) -> None:
    """Runs `drive-il`; raises SystemExit with the exit code."""
    words = list(sys.argv[1:] if args is None else args)
    if words == ["--version"]:
        print(f"drive-il {drive_il.__version__}")
        return
    try:
        _run(words)
    except KeyboardInterrupt:
        print("\ndrive-il: interrupted", file=sys.stderr)
        raise SystemExit(1) from None
    except BrokenPipeError:
        # The reader (head, less) has gone; that is no failure of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except ValueError as error:  # no command had begun: a flag has a value that it cannot have
        _give_up(error, 2)
    except _FAILURES as error:
        _give_up(error, 1)
