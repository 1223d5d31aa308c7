"""Which of CARLA's blueprints plays which of our actors."""

from __future__ import annotations

from typing import Any

from drive_il.actors import ActorKind
from drive_il.carla_sim.server import catalogue

EGO_ROLE = "hero"
"""`role_name` of the ego, as CARLA's leaderboard has it"""
_EGO = "vehicle.lincoln.mkz_2020"  # of CARLA's leaderboard 2
_GROWN, _CHILD = "walker.pedestrian.0001", f"walker.pedestrian.{min(catalogue.CHILDREN):04}"
_BOXES = {name: box for name, box in catalogue.PROP_BOXES.items() if name != "kiosk_01"}


def vehicle_blueprint(library: Any, vehicle: Any, role: str) -> Any:
    """Returns the blueprint of a vehicle or prop, with its colour where it has one.

    Args:
        library: the server's blueprints.
        vehicle: VEHICLE record.
        role: its `role_name`.
    """
    kind = ActorKind(int(vehicle["kind"]))
    name = f"static.prop.{_prop(vehicle)}"
    if kind != ActorKind.PROP:
        name = f"vehicle.{catalogue.LIKE[kind]}"
    blueprint = library.find(name)
    return with_role(painted(blueprint, vehicle), role)


def ego_blueprint(library: Any, ego: Any) -> Any:
    """Returns the blueprint of the ego, in the colour of its VEHICLE record."""
    return with_role(painted(library.find(_EGO), ego), EGO_ROLE)


def painted(blueprint: Any, vehicle: Any) -> Any:
    """Gives a blueprint the colour of a VEHICLE record, where it can have one."""
    if blueprint.has_attribute("color"):
        blueprint.set_attribute("color", ",".join(str(int(vehicle[one])) for one in "rgb"))
    return blueprint


def walker_blueprint(library: Any, walker: Any, role: str) -> Any:
    """Returns the blueprint of a walker; he can be hurt."""
    blueprint = library.find(_CHILD if walker["child"] else _GROWN)
    if blueprint.has_attribute("is_invincible"):
        blueprint.set_attribute("is_invincible", "false")
    return with_role(blueprint, role)


def with_role(blueprint: Any, role: str) -> Any:
    """Gives a blueprint its `role_name`, where it can have one."""
    if blueprint.has_attribute("role_name"):
        blueprint.set_attribute("role_name", role)
    return blueprint


def _prop(vehicle: Any) -> str:
    """The prop whose box is most like a size."""
    size = [float(vehicle[name]) for name in ("length", "width", "height")]
    return min(
        _BOXES, key=lambda name: sum(abs(a - b) for a, b in zip(_BOXES[name], size, strict=True))
    )


def kind_of(actor: Any) -> ActorKind:
    """Returns what somebody else's carla.Vehicle is."""
    model = catalogue.VEHICLES.get(actor.type_id.removeprefix("vehicle."))
    if model is not None:
        return model.kind
    wheels = actor.attributes.get("number_of_wheels", "4")
    return ActorKind.MOTORCYCLE if wheels == "2" else ActorKind.CAR
