"""CARLA's cameras: rgb, depth, semantic and instance segmentation, as the client decodes them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.carla_sim.server.actors import number
from drive_il.carla_sim.server.frames import Pose
from drive_il.carla_sim.server.moments import Moment
from drive_il.carla_sim.server.wire import Payload, image_header
from drive_il.datatypes import Array, Floats, Ints
from drive_il.maps.network import RoadNetwork
from drive_il.sensor_specs import CameraSpec
from drive_il.sensors.camera import Camera

KINDS = {
    "sensor.camera.rgb": ("rgb", Payload.RGB),
    "sensor.camera.depth": ("depth", Payload.DEPTH),
    "sensor.camera.semantic_segmentation": ("semantic", Payload.SEMANTIC),
    "sensor.camera.instance_segmentation": ("instance", Payload.INSTANCE),
}
"""blueprint -> kind of CameraSpec and of message"""
_PIXELS_AT = 4 + 48 + 12  # [bytes] into the message
_FAR = 1000.0  # [m] that depth 1 stands for
_STEPS = 256.0**3 - 1.0
_WORK = 200  # rows of pixels that are worth a thread


class CameraSensor:
    """One camera of a client.

    Args:
        network: the map.
        type_id: its blueprint.
        values: its attributes.

    Raises:
        ValueError: for a size or field of view that no camera has.
    """

    def __init__(self, network: RoadNetwork, type_id: str, values: Mapping[str, str]) -> None:
        self._network = network
        self._kind, self._payload = KINDS[type_id]
        self._is_colored = self._kind in ("rgb", "instance")
        given = dict(values)
        self._width, self._height = (
            int(number(given, name)) for name in ("image_size_x", "image_size_y")
        )
        self._fov = number(given, "fov")
        self._mount = Pose(0.0, 0.0, 1.0, 0.0)
        self._camera = self._made()
        # A message in place: its length, header, size of the picture, then the pixels.
        pixels = 4 * self._width * self._height
        self._message = np.zeros(_PIXELS_AT + pixels, np.uint8)
        self._message[:4] = np.frombuffer((_PIXELS_AT - 4 + pixels).to_bytes(4, "little"), np.uint8)
        self._pixels = self._message[_PIXELS_AT:].reshape(self._height, self._width, 4)

    def sense(self, moment: Moment) -> list[memoryview]:
        """Returns the picture of a moment, in a buffer that the next one overwrites."""
        mount = moment.mount()
        if mount != self._mount:
            self._mount = mount
            self._camera = self._made()
        scene = moment.scene()
        if self._is_colored:
            self._camera.render(scene.ego, scene.weather, scene.actors, self._pixels[None])
        else:
            self._write(self._camera.render(scene.ego, scene.weather, scene.actors)[0])
        head = moment.head(self._payload) + image_header(self._width, self._height, self._fov)
        self._message[4:_PIXELS_AT] = np.frombuffer(head, np.uint8)
        return [self._message.data]

    def _made(self) -> Camera:
        mount = self._mount
        spec = CameraSpec(
            kind=self._kind,
            width=self._width,
            height=self._height,
            fov=self._fov,
            x=mount.x,
            y=mount.y,
            z=max(mount.z, 0.01),
            yaw=mount.heading,
            pitch=mount.pitch,
            roll=mount.roll,
        )
        return Camera(self._network, spec, as_bgra=self._is_colored)

    def _write(self, picture: Array) -> None:
        n_rows, pixels = self._height, self._pixels
        to_bgra = _depth_to_bgra if self._kind == "depth" else _tags_to_bgra
        kernels.run(to_bgra, n_rows, picture, pixels, min_rows=_WORK)


_BGRA = nt.uint8[:, :, ::1]


@kernels.kernel(nt.void(nt.int64, nt.int64, nt.uint8[:, ::1], _BGRA))
def _tags_to_bgra(first_row: int, last_row: int, picture: Ints, pixels: Ints) -> None:
    """The tag is the red channel."""
    for i in range(first_row, last_row):
        for j in range(picture.shape[1]):
            pixels[i, j, 0] = pixels[i, j, 1] = 0
            pixels[i, j, 2] = picture[i, j]
            pixels[i, j, 3] = 255


@kernels.kernel(nt.void(nt.int64, nt.int64, nt.float32[:, ::1], _BGRA))
def _depth_to_bgra(first_row: int, last_row: int, picture: Floats, pixels: Ints) -> None:
    """Depth over 1000 m as 24 bits, the least in red (CARLA, "Depth camera")."""
    for i in range(first_row, last_row):
        for j in range(picture.shape[1]):
            share = min(max(picture[i, j] / _FAR, 0.0), 1.0)
            code = int(share * _STEPS + 0.5)
            pixels[i, j, 0] = (code >> 16) & 0xFF
            pixels[i, j, 1] = (code >> 8) & 0xFF
            pixels[i, j, 2] = code & 0xFF
            pixels[i, j, 3] = 255
