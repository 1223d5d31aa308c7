"""What each protocol lets an agent have: tracks, sensors, plan and time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

DIALECTS = ("lb1", "lb2", "bench2drive")
"""how an agent is made and called: leaderboard 1.0's way, 2's, or Bench2Drive's"""
_FEW: Mapping[str, int] = MappingProxyType(
    {
        "sensor.camera.rgb": 4,
        "sensor.lidar.ray_cast": 1,
        "sensor.other.radar": 2,
        "sensor.other.gnss": 1,
        "sensor.other.imu": 1,
        "sensor.opendrive_map": 1,
        "sensor.speedometer": 1,
    }
)
_MANY: Mapping[str, int] = MappingProxyType(
    {**_FEW, "sensor.camera.rgb": 8, "sensor.lidar.ray_cast": 2, "sensor.other.radar": 4}
)
_QUALIFIERS = ("SENSORS_QUALIFIER", "MAP_QUALIFIER")


@dataclass(frozen=True)
class AgentRules:
    """What one protocol lets an agent have.

    Attributes:
        dialect: in which an agent is spoken to whose class does not tell, of DIALECTS.
        tracks: names of `Track` that may be entered.
        sensors: how many sensors of each type.
        radius: how far from the ego's origin a sensor may be [m].
        plan_spacing: of the points of the global plan where nothing changes [m].
        timeout: of one call of the agent, wall clock [s].
        shows_ego: the ego's true pose and motion are the agent's to know.
    """

    dialect: str
    tracks: tuple[str, ...]
    sensors: Mapping[str, int]
    radius: float
    plan_spacing: float
    timeout: float
    shows_ego: bool = False

    def counts(self, track: str) -> Mapping[str, int]:
        """Returns how many sensors of each type a track has; qualifiers have fewer."""
        return _FEW if track in _QUALIFIERS else self.sensors


_LB1 = AgentRules("lb1", ("SENSORS", "MAP"), _FEW, 3.0, 50.0, 60.0)
_LB2 = AgentRules("lb2", ("SENSORS", "MAP", *_QUALIFIERS), _MANY, 3.0, 200.0, 300.0)
_BENCH2DRIVE = AgentRules(
    "bench2drive", ("SENSORS", "MAP", *_QUALIFIERS), _MANY, 100.0, 50.0, 600.0, shows_ego=True
)
_RULES = {
    "lb1": _LB1,
    "lb2.0": _LB2,
    "lb2.1": _LB2,
    "bench2drive": _BENCH2DRIVE,
    "nocrash": _LB1,
    "corl2017": _LB1,
}


def rules_of(protocol: str) -> AgentRules:
    """Returns a protocol's rules for agents.

    Raises:
        ValueError: there is no such protocol.
    """
    if protocol not in _RULES:
        raise ValueError(f"protocol must be one of {', '.join(_RULES)}, got {protocol!r}")
    return _RULES[protocol]


def check_track(protocol: str, track: str) -> None:
    """Checks that a protocol has a track.

    Raises:
        ValueError: it has not, or there is no such protocol.
    """
    tracks = rules_of(protocol).tracks
    if track not in tracks:
        raise ValueError(f"protocol {protocol} has the tracks {', '.join(tracks)}, got {track!r}")
