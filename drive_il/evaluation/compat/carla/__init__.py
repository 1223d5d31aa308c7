"""The data classes of CARLA's Python module, for agents where its wheel is not installed.

Names, defaults, units (metres, degrees) and the left-handed frame (x forward, y right, z up)
are CARLA's. (CARLA documentation, "Python API reference".)
"""

from __future__ import annotations

import math
from typing import Any

from drive_il_agent.absent import way_out


class Vector2D:
    """carla.Vector2D."""

    def __init__(self, x: float = 0.0, y: float = 0.0) -> None:
        self.x, self.y = float(x), float(y)

    def length(self) -> float:
        """Returns its length."""
        return math.hypot(self.x, self.y)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vector2D) and (self.x, self.y) == (other.x, other.y)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Vector2D(x={self.x:f}, y={self.y:f})"


class Vector3D:
    """carla.Vector3D."""

    def __init__(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> None:
        self.x, self.y, self.z = float(x), float(y), float(z)

    def length(self) -> float:
        """Returns its length."""
        return math.sqrt(self.squared_length())

    def squared_length(self) -> float:
        """Returns the square of its length."""
        return self.dot(self)

    def make_unit_vector(self) -> Vector3D:
        """Returns the vector of length 1 in its direction."""
        return self / self.length()

    def dot(self, other: Vector3D) -> float:
        """Returns the inner product."""
        return self.x * other.x + self.y * other.y + self.z * other.z

    def cross(self, other: Vector3D) -> Vector3D:
        """Returns the cross product."""
        return Vector3D(
            self.y * other.z - self.z * other.y,
            self.z * other.x - self.x * other.z,
            self.x * other.y - self.y * other.x,
        )

    def distance(self, other: Vector3D) -> float:
        """Returns how far it is from another."""
        return math.sqrt(self.distance_squared(other))

    def distance_squared(self, other: Vector3D) -> float:
        """Returns the square of `distance`."""
        return (self.x - other.x) ** 2.0 + (self.y - other.y) ** 2.0 + (self.z - other.z) ** 2.0

    def distance_2d(self, other: Vector3D) -> float:
        """Returns how far it is from another as seen from above."""
        return math.hypot(self.x - other.x, self.y - other.y)

    def __add__(self, other: Vector3D) -> Vector3D:
        return self._same(self.x + other.x, self.y + other.y, self.z + other.z)

    def __sub__(self, other: Vector3D) -> Vector3D:
        return self._same(self.x - other.x, self.y - other.y, self.z - other.z)

    def __mul__(self, factor: float) -> Vector3D:
        return Vector3D(self.x * factor, self.y * factor, self.z * factor)

    __rmul__ = __mul__

    def __truediv__(self, factor: float) -> Vector3D:
        return Vector3D(self.x / factor, self.y / factor, self.z / factor)

    def __neg__(self) -> Vector3D:
        return Vector3D(-self.x, -self.y, -self.z)

    def __abs__(self) -> Vector3D:
        return Vector3D(abs(self.x), abs(self.y), abs(self.z))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vector3D):
            return NotImplemented
        return (self.x, self.y, self.z) == (other.x, other.y, other.z)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"{name}(x={self.x:f}, y={self.y:f}, z={self.z:f})"

    def _same(self, x: float, y: float, z: float) -> Vector3D:
        return type(self)(x, y, z)


class Location(Vector3D):
    """carla.Location [m]."""

    def __init__(self, x: Any = 0.0, y: float = 0.0, z: float = 0.0) -> None:
        if isinstance(x, Vector3D):
            x, y, z = x.x, x.y, x.z
        super().__init__(x, y, z)


class Rotation:
    """carla.Rotation [deg]: pitch nose up, yaw to the right, roll right side down."""

    def __init__(self, pitch: float = 0.0, yaw: float = 0.0, roll: float = 0.0) -> None:
        self.pitch, self.yaw, self.roll = float(pitch), float(yaw), float(roll)

    def get_forward_vector(self) -> Vector3D:
        """Returns where the front points."""
        return Vector3D(*(row[0] for row in self._matrix()))

    def get_right_vector(self) -> Vector3D:
        """Returns where the right side points."""
        return Vector3D(*(row[1] for row in self._matrix()))

    def get_up_vector(self) -> Vector3D:
        """Returns where the roof points."""
        return Vector3D(*(row[2] for row in self._matrix()))

    def _matrix(self) -> list[list[float]]:
        """Returns the axes of the turned frame as columns: roll, then pitch, then yaw."""
        angles = (math.radians(a) for a in (self.pitch, self.yaw, self.roll))
        (sp, cp), (sy, cy), (sr, cr) = ((math.sin(a), math.cos(a)) for a in angles)
        return [
            [cp * cy, cy * sp * sr - sy * cr, -cy * sp * cr - sy * sr],
            [cp * sy, sy * sp * sr + cy * cr, -sy * sp * cr + cy * sr],
            [sp, -cp * sr, cp * cr],
        ]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Rotation):
            return NotImplemented
        return (self.pitch, self.yaw, self.roll) == (other.pitch, other.yaw, other.roll)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Rotation(pitch={self.pitch:f}, yaw={self.yaw:f}, roll={self.roll:f})"


class Transform:
    """carla.Transform: a place and a rotation."""

    def __init__(self, location: Any = None, rotation: Any = None) -> None:
        self.location = Location() if location is None else Location(location)
        self.rotation = Rotation() if rotation is None else rotation

    def transform(self, point: Vector3D) -> Vector3D:
        """Moves a point of the turned frame into the world's, in place, and returns a copy."""
        self.transform_vector(point)
        here = self.location
        point.x, point.y, point.z = point.x + here.x, point.y + here.y, point.z + here.z
        return Vector3D(point.x, point.y, point.z)

    def transform_vector(self, vector: Vector3D) -> Vector3D:
        """Turns a direction of the turned frame into the world's, in place; returns a copy."""
        rows = [Vector3D(*row) for row in self.rotation._matrix()]
        vector.x, vector.y, vector.z = (row.dot(vector) for row in rows)
        return Vector3D(vector.x, vector.y, vector.z)

    def get_forward_vector(self) -> Vector3D:
        """Returns where the front points."""
        return self.rotation.get_forward_vector()

    def get_right_vector(self) -> Vector3D:
        """Returns where the right side points."""
        return self.rotation.get_right_vector()

    def get_up_vector(self) -> Vector3D:
        """Returns where the roof points."""
        return self.rotation.get_up_vector()

    def get_matrix(self) -> list[list[float]]:
        """Returns the 4 x 4 matrix that `transform` applies."""
        here = (self.location.x, self.location.y, self.location.z)
        rows = [[*row, at] for row, at in zip(self.rotation._matrix(), here)]
        return [*rows, [0.0, 0.0, 0.0, 1.0]]

    def get_inverse_matrix(self) -> list[list[float]]:
        """Returns the 4 x 4 matrix from the world's frame into the turned one."""
        columns = list(zip(*self.rotation._matrix()))
        here = self.location
        rows = [[*c, -(c[0] * here.x + c[1] * here.y + c[2] * here.z)] for c in columns]
        return [*rows, [0.0, 0.0, 0.0, 1.0]]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Transform):
            return NotImplemented
        return self.location == other.location and self.rotation == other.rotation

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Transform({self.location!r}, {self.rotation!r})"


class VehicleControl:
    """carla.VehicleControl: throttle and brake in [0, 1], steer in [-1, 1], right positive."""

    _NUMBERS = ("throttle", "steer", "brake")

    def __init__(
        self,
        throttle: float = 0.0,
        steer: float = 0.0,
        brake: float = 0.0,
        hand_brake: bool = False,
        reverse: bool = False,
        manual_gear_shift: bool = False,
        gear: int = 0,
    ) -> None:
        self.throttle, self.steer, self.brake = throttle, steer, brake
        self.hand_brake, self.reverse = hand_brake, reverse
        self.manual_gear_shift, self.gear = manual_gear_shift, gear

    def __setattr__(self, name: str, value: Any) -> None:
        """Takes only what CARLA's takes: a number for a number."""
        if name in self._NUMBERS:
            if not isinstance(value, (int, float)):
                raise TypeError(f"{name} must be a float, got {type(value).__name__} {value!r}")
            value = float(value)
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        names = (*self._NUMBERS, "hand_brake", "reverse", "manual_gear_shift", "gear")
        parts = (f"{name}={getattr(self, name)}" for name in names)
        return "VehicleControl({})".format(", ".join(parts))


class GeoLocation:
    """carla.GeoLocation: latitude and longitude [deg], altitude [m]."""

    def __init__(
        self, latitude: float = 0.0, longitude: float = 0.0, altitude: float = 0.0
    ) -> None:
        self.latitude, self.longitude = float(latitude), float(longitude)
        self.altitude = float(altitude)


class BoundingBox:
    """carla.BoundingBox: a centre and half the size [m]."""

    def __init__(self, location: Any = None, extent: Any = None) -> None:
        self.location = Location() if location is None else location
        self.extent = Vector3D() if extent is None else extent
        self.rotation = Rotation()


def __getattr__(name: str) -> Any:
    raise way_out("carla", name)
