"""Agents as files, and short drives with them."""

from __future__ import annotations

import textwrap
from functools import lru_cache
from pathlib import Path

from drive_il.datatypes import Episode, EpisodeSpec, Route
from drive_il.evaluation.agent_spec import AgentLimits, AgentSpec
from drive_il.evaluation.agents import AgentHost, AgentPolicy
from drive_il.evaluation.criteria import route_ended
from drive_il.maps import library
from drive_il.maps.routes import load_routes
from drive_il.rollout import drive
from drive_il.sim.world import World

PATIENT = AgentLimits(setup_timeout=60.0, step_timeout=60.0)
_ROUTES = Path(__file__).parents[1] / "routes" / "alder_test.xml"


@lru_cache(maxsize=1)
def routes() -> tuple[Route, ...]:
    return tuple(load_routes(_ROUTES, library.load))


@lru_cache(maxsize=1)
def world() -> World:
    return World(library.load("alder"), 1)


def write_agent(folder: Path, body: str, name: str = "the_agent") -> Path:
    """Writes an agent file whose class `Agent` has this body."""
    text = (
        "from leaderboard.autoagents.autonomous_agent import AutonomousAgent, Track\n"
        "import carla\n"
        "def get_entry_point():\n"
        "    return 'Agent'\n"
        "class Agent(AutonomousAgent):\n"
    )
    path = folder / f"{name}.py"
    path.write_text(text + textwrap.indent(textwrap.dedent(body), "    "), encoding="utf-8")
    return path


def host(path: Path, protocol: str = "lb2.1", config: str = "", **more: object) -> AgentHost:
    given = {"limits": PATIENT, **more}
    return AgentHost(AgentSpec(path, config, protocol, **given))  # type: ignore[arg-type]


def begin(running: AgentHost, seed: int = 0, route: int = 0) -> AgentPolicy:
    chosen = routes()[route]
    return running.begin(chosen, library.load("alder"), seed, name=f"route{route}")


def few_steps(policy: AgentPolicy, n_steps: int = 3, route: int = 0) -> Episode:
    spec = EpisodeSpec(routes()[route], max_steps=n_steps)
    stop = policy.stop(route_ended())
    (episode,) = drive(world(), policy.observer, policy, [spec], stop=stop)
    return episode
