"""What clients see of an actor: who it is, what it is made from, where it hangs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from drive_il.carla_sim.server import blueprints, catalogue
from drive_il.carla_sim.server.frames import ORIGIN, Transform
from drive_il.carla_sim.server.wire import AttributeType, token

Box = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
"""centre and half sizes relative to the actor [m], rotation: pitch, yaw, roll [deg]"""
NO_BOX: Box = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))


@dataclass
class Actor:
    """One actor.

    Attributes:
        id: unique within the episode.
        type_id: name of its blueprint.
        attributes: values of its blueprint, as text, by name.
        transform: where it is, in CARLA's frame; relative to the parent if it has one. Of
            vehicles and walkers the world knows better.
        parent: id, 0 none.
        box: bounding box; of lights and signs the volume in which they bind.
        tags: CARLA's semantic tags.
        stream: number of its stream, 0 none.
        signal: index into RoadNetwork.signals of a light or sign, -1 none.
        physics: what a client told of a vehicle's physics, as sent.
        has_physics: whether it moves by the world's laws.
    """

    id: int
    type_id: str
    attributes: dict[str, str] = field(default_factory=dict)
    transform: Transform = ORIGIN
    parent: int = 0
    box: Box = NO_BOX
    tags: bytes = b""
    stream: int = 0
    signal: int = -1
    physics: list[Any] | None = None
    has_physics: bool = True

    @property
    def kind(self) -> str:
        """First word of its type: vehicle, walker, sensor, traffic, static, controller."""
        return self.type_id.partition(".")[0]

    def on_wire(self, port: int) -> list[Any]:
        """The actor as the client reads it; `port` is that of the streams."""
        return [
            self.id,
            self.parent,
            self._description(),
            box_on_wire(self.box, self.id),
            self.tags,
            token(self.stream, port) if self.stream else b"",
        ]

    def _description(self) -> list[Any]:
        blueprint = blueprints.library().get(self.type_id)
        types = {one.id: one.type for one in blueprint.attributes} if blueprint else {}
        string = AttributeType.STRING
        values = [[name, types.get(name, string), text] for name, text in self.attributes.items()]
        return [0, self.type_id, values]


def box_on_wire(box: Box, id: int) -> list[Any]:
    """A bounding box as the client reads it."""
    return [list(box[0]), list(box[1]), list(box[2]), id]


def standing_box(size: tuple[float, float, float], centred: bool = False) -> Box:
    """The box of something of a size that stands on the ground.

    Args:
        size: length, width, height [m].
        centred: its origin is in its middle, as that of CARLA's walkers, not below it.
    """
    half = (size[0] / 2.0, size[1] / 2.0, size[2] / 2.0)
    return ((0.0, 0.0, 0.0 if centred else half[2]), half, (0.0, 0.0, 0.0))


def values_of(description: Any) -> tuple[str, dict[str, str]]:
    """Reads what to spawn: the blueprint's name, and all its attributes with their values.

    Raises:
        ValueError: there is no such blueprint, or it has no such attribute.
    """
    if not isinstance(description, (list, tuple)) or len(description) != 3:
        raise ValueError(f"an actor description has 3 parts, got {str(description)[:80]}")
    _, type_id, sent = description
    blueprint = blueprints.library().get(type_id)
    if blueprint is None:
        raise ValueError(
            f"there is no blueprint {str(type_id)[:60]!r} here; get_blueprint_library() lists all"
        )
    values = {one.id: one.value for one in blueprint.attributes}
    for name, _, text in sent:
        if name not in values:
            raise ValueError(f"{type_id} has no attribute {str(name)[:60]!r}: {', '.join(values)}")
        values[name] = str(text)
    return type_id, values


def number(values: dict[str, str], name: str) -> float:
    """Returns a number among the attributes.

    Raises:
        ValueError: it is none; names the attribute.
    """
    try:
        return float(values[name])
    except ValueError:
        raise ValueError(f"{name} must be a number, got {values[name]!r}") from None


def prop_size(type_id: str, values: dict[str, str]) -> tuple[float, float, float] | None:
    """Length, width and height of a prop as a body [m]; None for one that is driven over."""
    name = type_id.removeprefix("static.prop.")
    if name in catalogue.FLAT:
        return None
    edge = catalogue.EDGES[values["size"]]
    return catalogue.PROP_BOXES.get(name, (edge, edge, edge))
