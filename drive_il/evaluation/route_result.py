"""What a judge says about one drive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from drive_il.evaluation.infractions import Infraction


class Ending(Enum):
    """Why a drive ended; the values are the reasons of CARLA's status lines, "" for none."""

    COMPLETED = ""
    DEVIATED = "Agent deviated from the route"
    BLOCKED = "Agent got blocked"
    TIMED_OUT = "Agent timed out"
    TICKS = "TickRuntime"
    COLLIDED = "Agent collided"
    NOT_SET_UP = "Agent couldn't be set up"
    BAD_SENSORS = "Agent's sensors were invalid"
    AGENT_CRASHED = "Agent crashed"
    SIMULATION_CRASHED = "Simulation crashed"


@dataclass(frozen=True)
class RouteResult:
    """One judged drive; `scoring.route_scores` says what it is worth.

    Attributes:
        route: id of the route.
        town: name of its map.
        repetition: which drive of this route.
        seed: of the episode.
        scenarios: types of the scenarios that the route declares, in order.
        ending: why it ended.
        completion: of the route, in [0, 100] [%].
        length: of the route [m].
        duration: of the drive, in the world [s].
        wall: of the drive, on the clock; 0 where nobody measured it [s].
        infractions: in the order in which they happened.
        speeds: mean speed as a share of that of the traffic, one per checkpoint that had any,
            whether it is an infraction or not [%].
        comfort: share of the drive's segments that were comfortable (`comfort.py`), None where
            the protocol does not ask or the drive was too short [%].
        junction: completion at which the route's first junction is reached, 100 when there is
            none [%].
        measures: reported, never scored: `speeding_share` of the time [%], `speeding_mean` and
            `speeding_max` above the limit [m/s], `off_road` driven with the centre off any
            drivable surface [m], `max_off_road` [m], `distance` driven [m].
    """

    route: str
    town: str
    repetition: int
    seed: int
    scenarios: tuple[str, ...]
    ending: Ending
    completion: float
    length: float
    duration: float
    wall: float
    infractions: tuple[Infraction, ...]
    speeds: tuple[float, ...]
    comfort: float | None
    junction: float
    measures: Mapping[str, float]
