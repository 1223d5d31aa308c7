"""The blueprint library: every actor's name with its attributes, as the client is told.

User scripts look attributes up by name, so that a missing one is an error in their code: the
lists are CARLA 0.9.16's, whole, also where a value means nothing here. ("Blueprint library",
"Sensors reference".)
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from drive_il.actors import ActorKind
from drive_il.carla_sim.server import catalogue
from drive_il.carla_sim.server.wire import AttributeType

_BOOL, _INT, _FLOAT = AttributeType.BOOL, AttributeType.INT, AttributeType.FLOAT
_STRING, _RGB = AttributeType.STRING, AttributeType.RGB
_COLORS = ("17,37,103", "180,44,44", "211,142,0", "42,76,60", "236,238,238", "36,38,42")
_LENS = """lens_circle_falloff=5.0 lens_circle_multiplier=0.0 lens_k=-1.0 lens_kcube=0.0
    lens_x_size=0.08 lens_y_size=0.08"""
_FILM = """black_clip=0.0 blur_amount=1.0 blur_radius=0.0 bloom_intensity=0.675
    calibration_constant=16.0 chromatic_aberration_intensity=0.0
    chromatic_aberration_offset=0.0 exposure_compensation=0.0 exposure_max_bright=12.0
    exposure_min_bright=10.0 exposure_speed_down=1.0 exposure_speed_up=3.0
    focal_distance=1000.0 fstop=1.4 gamma=2.2 iso=100.0 lens_flare_intensity=0.1 min_fstop=1.2
    motion_blur_intensity=0.45 motion_blur_max_distortion=0.35
    motion_blur_min_object_screen_size=0.1 shoulder=0.26 shutter_speed=200.0 slope=0.88
    temp=6500.0 tint=0.0 toe=0.55 white_clip=0.04"""
_LIDAR = """range=10.0 rotation_frequency=10.0 upper_fov=10.0 lower_fov=-30.0
    horizontal_fov=360.0"""
_RAY_CAST = """atmosphere_attenuation_rate=0.004 dropoff_general_rate=0.45
    dropoff_intensity_limit=0.8 dropoff_zero_intensity=0.4 noise_stddev=0.0"""
_GNSS = """noise_alt_bias=0.0 noise_alt_stddev=0.0 noise_lat_bias=0.0 noise_lat_stddev=0.0
    noise_lon_bias=0.0 noise_lon_stddev=0.0"""
_IMU = """noise_accel_stddev_x=0.0 noise_accel_stddev_y=0.0 noise_accel_stddev_z=0.0
    noise_gyro_bias_x=0.0 noise_gyro_bias_y=0.0 noise_gyro_bias_z=0.0
    noise_gyro_stddev_x=0.0 noise_gyro_stddev_y=0.0 noise_gyro_stddev_z=0.0"""


class Attribute(NamedTuple):
    """One attribute of a blueprint, in the order in which the client reads it."""

    id: str
    type: AttributeType
    value: str
    recommended: tuple[str, ...] = ()
    modifiable: bool = True
    restricted: bool = False  # to the recommended values


class Blueprint(NamedTuple):
    """What an actor can be made from."""

    id: str
    attributes: tuple[Attribute, ...]

    @property
    def tags(self) -> str:
        """What the library's filters match, comma separated."""
        return self.id.replace(".", ",")


def _role(value: str) -> Attribute:
    return Attribute("role_name", _STRING, value)


def _fixed(id: str, kind: AttributeType, value: str) -> Attribute:
    return Attribute(id, kind, value, modifiable=False)


def _floats(text: str) -> tuple[Attribute, ...]:
    pairs = (word.split("=") for word in text.split())
    return tuple(Attribute(id, _FLOAT, value, (value,)) for id, value in pairs)


def _ints(**values: int) -> tuple[Attribute, ...]:
    return tuple(Attribute(id, _INT, str(value), (str(value),)) for id, value in values.items())


_BASE_TYPES = {
    ActorKind.CAR: "car",
    ActorKind.VAN: "van",
    ActorKind.TRUCK: "truck",
    ActorKind.BUS: "bus",
    ActorKind.MOTORCYCLE: "motorcycle",
    ActorKind.BICYCLE: "bicycle",
}


def _vehicle(name: str, model: catalogue.VehicleModel) -> Blueprint:
    two = (Attribute("driver_id", _INT, "0", ("0", "1", "2")),) if model.wheels == 2 else ()
    return Blueprint(
        f"vehicle.{name}",
        (
            Attribute("role_name", _STRING, "autopilot", ("autopilot", "scenario", "ego_vehicle")),
            Attribute("color", _RGB, _COLORS[0], _COLORS, True, False),
            *two,
            Attribute("sticky_control", _BOOL, "true", ("false", "true")),
            Attribute("terramechanics", _BOOL, "false", ("false", "true")),
            _fixed("object_type", _STRING, ""),
            _fixed("base_type", _STRING, _BASE_TYPES[model.kind]),
            _fixed("special_type", _STRING, model.special),
            _fixed("generation", _INT, str(model.generation)),
            _fixed("number_of_wheels", _INT, str(model.wheels)),
            _fixed("has_lights", _BOOL, str(model.lights).lower()),
            _fixed("has_dynamic_doors", _BOOL, str(model.doors).lower()),
        ),
    )


def _walker(number: int) -> Blueprint:
    child = number in catalogue.CHILDREN
    paces = ("0.0", "1.0", "2.0") if child else ("0.0", "1.4", "3.4")
    return Blueprint(
        f"walker.pedestrian.{number:04}",
        (
            _role("pedestrian"),
            Attribute("is_invincible", _BOOL, "true", ("false", "true")),
            Attribute("speed", _FLOAT, paces[0], paces),
            Attribute("use_wheelchair", _BOOL, "false", ("false", "true")),
            _fixed("can_use_wheelchair", _BOOL, "false"),
            _fixed("gender", _STRING, "female" if number % 2 == 0 else "male"),
            _fixed("generation", _INT, "1" if number < 15 else "2"),
            _fixed("age", _STRING, "child" if child else "adult"),
        ),
    )


def _sensor(name: str, *more: Attribute, ticks: bool = True) -> Blueprint:
    tick = _floats("sensor_tick=0.0") if ticks else ()
    return Blueprint(f"sensor.{name}", (_role("front"), *tick, *more))


def _camera(kind: str, *more: Attribute) -> Blueprint:
    return _sensor(
        f"camera.{kind}",
        *_ints(image_size_x=800, image_size_y=600),
        *_floats("fov=90.0"),
        *_floats(_LENS),
        *more,
    )


_UNMADE = {
    "camera.normals": "",
    "camera.optical_flow": "",
    "camera.cosmos_visualization": "",
    "camera.dvs": "positive_threshold=0.3 negative_threshold=0.3 sigma_positive_threshold=0.0 "
    "sigma_negative_threshold=0.0 refractory_period_ns=0.0 log_eps=0.001",
}
"""cameras that programs look up by name beside those that they use, with their attributes"""


def is_made(type_id: str) -> bool:
    """Whether a sensor of this blueprint can be spawned."""
    return type_id.removeprefix("sensor.") not in _UNMADE


def _sensors() -> list[Blueprint]:
    film = (
        *_floats(_FILM),
        *_ints(blade_count=5),
        Attribute("enable_postprocess_effects", _BOOL, "true", ("false", "true")),
        Attribute("exposure_mode", _STRING, "histogram", ("histogram", "manual")),
    )
    beams = _ints(channels=32, points_per_second=56000)
    return [
        _camera("rgb", *film),
        _camera("depth"),
        _camera("semantic_segmentation"),
        _camera("instance_segmentation"),
        *(_camera(name.removeprefix("camera."), *_floats(own)) for name, own in _UNMADE.items()),
        _sensor(
            "lidar.ray_cast",
            *beams,
            *_floats(_LIDAR),
            *_floats(_RAY_CAST),
            *_ints(noise_seed=0),
        ),
        _sensor("lidar.ray_cast_semantic", *beams, *_floats(_LIDAR)),
        _sensor(
            "other.radar",
            *_floats("horizontal_fov=30.0 vertical_fov=30.0 range=100.0"),
            *_ints(points_per_second=1500, noise_seed=0),
        ),
        _sensor("other.gnss", *_floats(_GNSS), *_ints(noise_seed=0)),
        _sensor("other.imu", *_floats(_IMU), *_ints(noise_seed=0)),
        _sensor("other.collision", ticks=False),
        _sensor("other.lane_invasion", ticks=False),
        _sensor(
            "other.obstacle",
            *_floats("distance=5.0 hit_radius=0.5"),
            Attribute("only_dynamics", _BOOL, "false", ("false", "true")),
            Attribute("debug_linetrace", _BOOL, "false", ("false", "true")),
        ),
    ]


@cache
def library() -> Mapping[str, Blueprint]:
    """Every blueprint by name."""
    found = [_vehicle(name, model) for name, model in catalogue.VEHICLES.items()]
    found += [_walker(number) for number in range(1, catalogue.N_PEDESTRIANS + 1)]
    found += _sensors()
    found.append(Blueprint("controller.ai.walker", (_role("walker"),)))
    for size, names in catalogue.PROPS.items():
        for name in map(str.strip, names.split(",")):
            attributes = (_role("prop"), _fixed("size", _STRING, size))
            found.append(Blueprint(f"static.prop.{name}", attributes))
    return {blueprint.id: blueprint for blueprint in found}


@cache
def definitions() -> list[list[Any]]:
    """The library as the client reads it."""
    return [
        [number, one.id, one.tags, [list(attribute) for attribute in one.attributes]]
        for number, one in enumerate(library().values(), 1)
    ]
