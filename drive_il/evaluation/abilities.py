"""Bench2Drive's further numbers: success, efficiency, comfort, and success by ability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from drive_il.evaluation.infractions import Kind
from drive_il.evaluation.route_result import Ending, RouteResult

_SIGNS = "Traffic_Signs"
ABILITIES: dict[str, frozenset[str]] = {
    "Overtaking": frozenset(
        [
            "Accident",
            "AccidentTwoWays",
            "ConstructionObstacle",
            "ConstructionObstacleTwoWays",
            "HazardAtSideLane",
            "HazardAtSideLaneTwoWays",
            "ParkedObstacle",
            "ParkedObstacleTwoWays",
            "VehicleOpensDoorTwoWays",
        ]
    ),
    "Merging": frozenset(
        [
            "CrossingBicycleFlow",
            "EnterActorFlow",
            "HighwayCutIn",
            "HighwayExit",
            "InterurbanActorFlow",
            "InterurbanAdvancedActorFlow",
            "MergerIntoSlowTraffic",
            "MergerIntoSlowTrafficV2",
            "NonSignalizedJunctionLeftTurn",
            "NonSignalizedJunctionLeftTurnEnterFlow",
            "NonSignalizedJunctionRightTurn",
            "ParkingExit",
            "SequentialLaneChange",
            "SignalizedJunctionLeftTurn",
            "SignalizedJunctionLeftTurnEnterFlow",
            "SignalizedJunctionRightTurn",
        ]
    ),
    "Emergency_Brake": frozenset(
        [
            "BlockedIntersection",
            "ControlLoss",
            "DynamicObjectCrossing",
            "HardBreakRoute",
            "OppositeVehicleRunningRedLight",
            "OppositeVehicleTakingPriority",
            "ParkingCrossingPedestrian",
            "ParkingCutIn",
            "PedestrianCrossing",
            "StaticCutIn",
            "VehicleTurningRoute",
            "VehicleTurningRoutePedestrian",
        ]
    ),
    "Give_Way": frozenset(("InvadingTurn", "YieldToEmergencyVehicle")),
    _SIGNS: frozenset(
        [
            "BlockedIntersection",
            "CrossingBicycleFlow",
            "EnterActorFlow",
            "NonSignalizedJunctionLeftTurn",
            "NonSignalizedJunctionLeftTurnEnterFlow",
            "NonSignalizedJunctionRightTurn",
            "OppositeVehicleRunningRedLight",
            "OppositeVehicleTakingPriority",
            "PedestrianCrossing",
            "SignalizedJunctionLeftTurn",
            "SignalizedJunctionLeftTurnEnterFlow",
            "SignalizedJunctionRightTurn",
            "T_Junction",
            "VanillaNonSignalizedTurn",
            "VanillaNonSignalizedTurnEncounterStopsign",
            "VanillaSignalizedTurnEncounterGreenLight",
            "VanillaSignalizedTurnEncounterRedLight",
            "VehicleTurningRoute",
            "VehicleTurningRoutePedestrian",
        ]
    ),
}
"""Types of scenario that show each ability."""
_PAST_JUNCTION = 8.0  # [m] into a junction a drive has obeyed its sign
_ABSURD = 1000.0  # [%] of the traffic's speed: the traffic stood


def succeeded(result: RouteResult) -> bool:
    """Whether a route was completed without an infraction other than slowness."""
    faults = any(one.kind != Kind.MIN_SPEED for one in result.infractions)
    return result.ending == Ending.COMPLETED and not faults


def efficiency(results: Sequence[RouteResult]) -> float | None:
    """Returns the mean over routes of the mean speed compared with the traffic's [%].

    Routes on which no traffic moved are left out; None when that is all of them.
    """
    shares = [[one for one in result.speeds if one <= _ABSURD] for result in results]
    means = [float(np.mean(one)) for one in shares if one]
    return float(np.mean(means)) if means else None


def comfortable(results: Sequence[RouteResult]) -> float | None:
    """Returns the mean comfort over the routes long enough to have one [%]."""
    values = [result.comfort for result in results if result.comfort is not None]
    return float(np.mean(values)) if values else None


def by_ability(results: Sequence[RouteResult]) -> dict[str, float | None]:
    """Returns the success rate on the routes that show each ability, and their mean [%].

    None for an ability that no route shows; the mean is None unless all are shown.
    """
    rates: dict[str, float | None] = {}
    for ability, types in ABILITIES.items():
        shown = [result for result in results if types.intersection(result.scenarios)]
        credited = [
            succeeded(result) or (ability == _SIGNS and _obeyed(result)) for result in shown
        ]
        rates[ability] = 100.0 * sum(credited) / len(shown) if shown else None
    known = [rate for rate in rates.values() if rate is not None]
    rates["mean"] = float(np.mean(known)) if len(known) == len(ABILITIES) else None
    return rates


def _obeyed(result: RouteResult) -> bool:
    """Whether a drive that failed later had passed its first junction as its signs ask."""
    metres = (result.completion - result.junction) / 100.0 * result.length
    broke = any(one.kind in (Kind.RED_LIGHT, Kind.STOP_SIGN) for one in result.infractions)
    return metres > _PAST_JUNCTION and not broke


def bench2drive(results: Sequence[RouteResult], n_routes: int) -> dict[str, Any]:
    """Returns Bench2Drive's numbers.

    Args:
        results: of the drives that were made.
        n_routes: that the success rate is divided by.
    """
    return {
        "success_rate": 100.0 * sum(map(succeeded, results)) / n_routes,
        "driving_efficiency": efficiency(results),
        "driving_smoothness": comfortable(results),
        "ability": by_ability(results),
    }
