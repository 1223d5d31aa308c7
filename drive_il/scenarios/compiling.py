"""From what a route declares to the program that a world plays.

`compile_route` leaves out, with a warning, what does not fit its place, as CARLA's leaderboard
does; `check_route` makes an error of it. A trigger point far from its route is an error at once:
no rounding, and no other planner's way through the same streets, puts it there.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping

from drive_il.actors import LightState, ScenarioSpec
from drive_il.datatypes import Route
from drive_il.maps.network import RoadNetwork
from drive_il.maps.scenario_files import (
    TRIGGER_DISTANCE,
    distances,
    places,
    refuse_far,
    unreachable,
)
from drive_il.scenarios import crossings, flows, leaders, obstacles
from drive_il.scenarios.script import EMPTY, Program, Script, assemble
from drive_il.scenarios.setting import Misfit, Setting

Compile = Callable[[Setting], list[Script]]


def _turn(side: str, signals: bool, merging: bool = False) -> Compile:
    return lambda setting: flows.junction_turn(setting, side, signals, merging)


def _light(state: LightState, hold: bool) -> Compile:
    return lambda setting: leaders.next_light(setting, state, hold)


TYPES: Mapping[str, Compile] = {
    "Accident": obstacles.accident,
    "AccidentTwoWays": lambda setting: obstacles.accident(setting, two_ways=True),
    "BlockedIntersection": obstacles.blocked_intersection,
    "ConstructionObstacle": obstacles.construction,
    "ConstructionObstacleTwoWays": lambda setting: obstacles.construction(setting, two_ways=True),
    "ControlLoss": leaders.control_loss,
    "CrossingBicycleFlow": flows.bicycle_flow,
    "DynamicObjectCrossing": crossings.dynamic_object_crossing,
    "EnterActorFlow": flows.declared_flow,
    "EnterActorFlowV2": flows.declared_flow,
    "FollowLeadingVehicle": leaders.hard_brake,
    "HardBreakRoute": leaders.hard_brake,
    "HazardAtSideLane": obstacles.hazard_at_side,
    "HazardAtSideLaneTwoWays": lambda setting: obstacles.hazard_at_side(setting, two_ways=True),
    "HighwayCutIn": leaders.highway_cut_in,
    "HighwayExit": flows.declared_flow,
    "InterurbanActorFlow": flows.declared_flow,
    "InterurbanAdvancedActorFlow": flows.declared_flow,
    "InvadingTurn": obstacles.invading_turn,
    "ManeuverOppositeDirection": obstacles.opposite_direction,
    "MergerIntoSlowTraffic": flows.declared_flow,
    "MergerIntoSlowTrafficV2": flows.declared_flow,
    "NoSignalJunctionCrossing": lambda setting: flows.takes_priority(setting, signals=False),
    "NonSignalizedJunctionLeftTurn": _turn("opposite", signals=False),
    "NonSignalizedJunctionLeftTurnEnterFlow": _turn("right", signals=False, merging=True),
    "NonSignalizedJunctionRightTurn": _turn("left", signals=False, merging=True),
    "OppositeVehicleRunningRedLight": lambda setting: flows.takes_priority(setting, signals=True),
    "OppositeVehicleTakingPriority": lambda setting: flows.takes_priority(setting, signals=False),
    "OtherLeadingVehicle": leaders.hard_brake,
    "ParkedObstacle": obstacles.parked,
    "ParkedObstacleTwoWays": lambda setting: obstacles.parked(setting, two_ways=True),
    "ParkingCrossingPedestrian": crossings.parking_crossing_pedestrian,
    "ParkingCutIn": leaders.parking_cut_in,
    "ParkingExit": leaders.parking_exit,
    "PedestrianCrossing": crossings.pedestrian_crossing,
    "PriorityAtJunction": _light(LightState.GREEN, hold=True),
    "SequentialLaneChange": leaders.nothing,
    "SignalJunctionCrossing": lambda setting: flows.takes_priority(setting, signals=True),
    "SignalizedJunctionLeftTurn": _turn("opposite", signals=True),
    "SignalizedJunctionLeftTurnEnterFlow": _turn("right", signals=True, merging=True),
    "SignalizedJunctionRightTurn": _turn("left", signals=True, merging=True),
    "StaticCutIn": leaders.static_cut_in,
    "T_Junction": leaders.nothing,
    "VanillaNonSignalizedTurn": leaders.nothing,
    "VanillaNonSignalizedTurnEncounterStopsign": leaders.nothing,
    "VanillaSignalizedTurnEncounterGreenLight": _light(LightState.GREEN, hold=True),
    "VanillaSignalizedTurnEncounterRedLight": _light(LightState.RED, hold=False),
    "VehicleOpensDoorTwoWays": obstacles.opens_door,
    "VehicleTurningRoute": crossings.vehicle_turning,
    "VehicleTurningRoutePedestrian": crossings.vehicle_turning_pedestrian,
    "YieldToEmergencyVehicle": leaders.emergency_vehicle,
}
"""Every type of scenario that can be played, by CARLA's name."""


def compile_route(network: RoadNetwork, route: Route) -> Program:
    """Compiles the scenarios of a route.

    Warns of those that cannot take place, and leaves them out.

    Raises:
        ValueError: a scenario of a type that is not known, with a bad parameter, or far from the
            route.
    """
    if not route.scenarios:
        return EMPTY
    scripts: list[Script] = []
    for _, result in _compiled(network, route):
        if isinstance(result, Misfit):
            warnings.warn(f"left out: {result}", stacklevel=2)
        else:
            scripts += result
    return assemble(scripts)


def check_route(network: RoadNetwork, route: Route) -> None:
    """Makes sure that every scenario of a route can take place.

    Raises:
        ValueError: for the first that cannot: what it is, why, and what would do.
    """
    for _, result in _compiled(network, route):
        if isinstance(result, Misfit):
            raise result


def compile_spec(network: RoadNetwork, route: Route, spec: ScenarioSpec, s: float) -> list[Script]:
    """Compiles one scenario that is triggered at s of a route [m].

    Raises:
        ValueError: its type is not known, or a parameter is bad.
        Misfit: it cannot take place there.
    """
    if spec.type not in TYPES:
        raise ValueError(
            f"scenario {spec.name} on route {route.id!r} has the unknown type {spec.type!r}; "
            f"known are {', '.join(TYPES)}"
        )
    return TYPES[spec.type](Setting(network, route, spec, s))


def _compiled(
    network: RoadNetwork, route: Route
) -> Iterator[tuple[ScenarioSpec, list[Script] | Misfit]]:
    refuse_far(route)
    missed = {spec.name for spec in unreachable(route)}
    along, _, turned = places(route, route.scenarios)
    away = distances(route, route.scenarios)
    for k, spec in enumerate(route.scenarios):
        try:
            scripts = compile_spec(network, route, spec, float(along[k]))
        except Misfit as error:
            yield spec, error
            continue
        if spec.name not in missed:
            for script in scripts:
                script.record["scenario"] = k
            yield spec, scripts
            continue
        yield (
            spec,
            Misfit(
                f"the trigger point ({spec.x:.1f}, {spec.y:.1f}) of scenario {spec.name} lies "
                f"{away[k]:.1f} m from route {route.id!r} and is turned by "
                f"{abs(turned[k]) * 57.3:.0f} degrees against it, at most {TRIGGER_DISTANCE:g} m "
                "and 10 degrees are met; move it onto the route, in the direction of travel"
            ),
        )
