"""The camera: RGB, depth, semantic and instance pictures of any size, field of view and pose.

A pinhole without distortion, the principal point in the middle of the picture, square
pixels. The ground is flat in the camera's eyes: it lies at the height of the ego's own
road; the ego's pitch and roads at other heights do not show.

A level camera (pitch and roll zero) draws row by row and column by column: a row of ground
is an affine walk, a column meets each prism once. Any other camera traces every pixel, with
the same expressions in the same order, so that both draw the same picture where both apply.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from drive_il import kernels
from drive_il.actors import WALKER
from drive_il.datatypes import (
    VEHICLE,
    WEATHER,
    Actors,
    Array,
    Ints,
    Records,
    default_weather,
    no_actors,
)
from drive_il.maps.network import RoadNetwork
from drive_il.sensor_specs import CameraSpec
from drive_il.sensors.free_camera import render_free
from drive_il.sensors.ground import ground_map
from drive_il.sensors.lens import lenses_of
from drive_il.sensors.level_camera import render_level
from drive_il.sensors.light import lit_by, textures
from drive_il.sensors.models import models
from drive_il.sensors.prisms import solids_of

_DTYPES = {"rgb": np.uint8, "depth": np.float32, "semantic": np.uint8, "instance": np.uint8}
_COLORED = ("rgb", "instance")
_WORK = 100_000  # pixels that are worth a thread
_Around = tuple[Records, Records, Ints, Ints, Ints]


class Camera:
    """One camera, on any ego of one map."""

    def __init__(
        self,
        network: RoadNetwork,
        spec: CameraSpec,
        exact: bool = False,
        as_bgra: bool = False,
        rows: tuple[int, int] | None = None,
    ) -> None:
        """Builds or loads what the map's ground looks like.

        Args:
            network: the map.
            spec: the camera.
            exact: trace every pixel also where the fast path would do; for comparison.
            as_bgra: pixels of rgb and instance pictures are blue, green, red and 255, as
                CARLA sends them.
            rows: first and last + 1 of those that are drawn, for a picture that is partly
                hidden; the others keep what they hold. None is all.

        Raises:
            ValueError: if the camera is not above the road, its pictures have no colours to
                be put in another order, or the rows are not in them.
        """
        if spec.z <= 0.0:
            raise ValueError(f"a camera must stand above the road, got z = {spec.z} m")
        if as_bgra and spec.kind not in _COLORED:
            raise ValueError(f"only {' and '.join(_COLORED)} can be bgra, got {spec.kind!r}")
        self._rows = (0, spec.height) if rows is None else rows
        if not 0 <= self._rows[0] < self._rows[1] <= spec.height:
            raise ValueError(f"rows must lie in [0, {spec.height}], first below last, got {rows}")
        self.spec = spec
        self._n_bytes = 4 if as_bgra else 3
        self._whole = lenses_of(spec, 1, *self._rows)
        self._ground = ground_map(network)
        self._solids = solids_of(network)
        self._fixed = textures()
        self._models = models()
        self._lit = lit_by(default_weather(1))
        is_level = spec.pitch == 0.0 and spec.roll == 0.0 and not exact
        self._kernel = render_level if is_level else render_free
        self._empty = (
            np.zeros((1, 1), np.uint8),
            np.zeros((1, 1, 1), np.float32),
            np.zeros((1, 1, 1), np.uint8),
        )

    def shape(self, n_rows: int) -> tuple[int, ...]:
        """Shape of n_rows pictures: (N, H, W, 3 or 4) for rgb and instance, else (N, H, W)."""
        pixels = (n_rows, self.spec.height, self.spec.width)
        return (*pixels, self._n_bytes) if self.spec.kind in _COLORED else pixels

    def render(
        self,
        ego: Records,
        weather: Records,
        actors: Actors | None = None,
        out: Array | None = None,
    ) -> Array:
        """Draws what the camera sees from each ego.

        A picture depends on its ego, weather, world and map alone. The ego itself is seen
        only by a camera beside its box, or more than a metre above its roof.

        Args:
            ego: (N,) VEHICLE; any poses, on the road or not.
            weather: (N,) WEATHER.
            actors: who else is there, with one `world` and `slot` per ego; None is nobody,
                and all traffic lights are dark.
            out: array of the result's shape and dtype to draw into, C-contiguous.

        Returns:
            rgb: (N, H, W, 3) uint8; depth: (N, H, W) float32 along the optical axis [m],
            1000 for the sky; semantic: (N, H, W) uint8, CARLA's tags; instance:
            (N, H, W, 3) uint8, tag and the two bytes of the actor's id (0 for all that is
            no actor); (N, H, W, 4) in the order of `as_bgra`.

        Raises:
            ValueError: for arrays of another dtype or shape.
        """
        ego, weather = np.ascontiguousarray(ego), np.ascontiguousarray(weather)
        if ego.dtype != VEHICLE or ego.ndim != 1:
            raise ValueError(f"ego must be (N,) VEHICLE, got {ego.shape} {ego.dtype}")
        if weather.dtype != WEATHER or weather.shape != ego.shape:
            raise ValueError(
                f"weather must be {ego.shape} WEATHER, one per ego, got {weather.shape} "
                f"{weather.dtype}"
            )
        shape, dtype = self.shape(len(ego)), np.dtype(_DTYPES[self.spec.kind])
        if out is None:
            out = np.empty(shape, dtype)
        elif out.shape != shape or out.dtype != dtype or not out.flags.c_contiguous:
            raise ValueError(
                f"out must be a contiguous {shape} {dtype} array, got {out.shape} {out.dtype}"
            )
        self._draw(ego, weather, _surroundings(actors, len(ego)), out)
        return out

    def _draw(self, ego: Records, weather: Records, around: _Around, out: Array) -> None:
        targets: list[Any] = list(self._empty)
        pixels = self.spec.width * self.spec.height
        if self.spec.kind in _COLORED:
            targets[0] = out.reshape(len(out), self._n_bytes * pixels)
        else:
            targets[1 if self.spec.kind == "depth" else 2] = out
        lit = self._lit
        if (
            self.spec.kind == "rgb"
            and weather[:1].tobytes() != lit.weather[: len(weather)].tobytes()
        ):
            # Weather seldom changes from call to call. Other threads keep what they have taken.
            self._lit = lit = lit_by(weather[:1])
        lenses, drawn = self._whole, self.spec.width * (self._rows[1] - self._rows[0])
        if drawn >= 2 * _WORK:
            lenses = _bands(self.spec, self._rows, len(ego), kernels.n_threads())
        kernels.run(
            self._kernel,
            len(ego) * len(lenses),
            self._ground,
            self._solids,
            self._fixed,
            lit,
            self._models,
            lenses,
            ego,
            weather,
            around,
            *targets,
            min_rows=max(1, _WORK * len(lenses) // drawn),
            checked=True,  # by `render`, `_surroundings` and where the others are made
        )


@lru_cache(maxsize=64)
def _bands(spec: CameraSpec, rows: tuple[int, int], n_egos: int, n_threads: int) -> Records:
    """The bands of columns that some pictures are cut into, so that threads can share them.

    A band costs some 0.1 ms: there are no more than it takes to give each thread one.
    """
    worth = spec.width * (rows[1] - rows[0]) // _WORK
    needed = -(-n_threads // max(n_egos, 1))
    return lenses_of(spec, min(worth, needed, spec.width // 8 + 1), *rows)


def _surroundings(actors: Actors | None, n_rows: int) -> _Around:
    """The arrays of some actors as the kernels take them.

    Raises:
        ValueError: if they are not those of n_rows egos.
    """
    if actors is None:
        nobody = no_actors(1)
        nowhere = np.zeros(n_rows, np.int32)
        return nobody.vehicles, nobody.walkers, nobody.lights, nowhere, nowhere
    vehicles, walkers = actors.vehicles, actors.walkers
    if vehicles.dtype != VEHICLE or walkers.dtype != WALKER or vehicles.ndim != 2:
        raise ValueError(
            f"actors must hold (W, V) VEHICLE and (W, P) WALKER, got {vehicles.shape} "
            f"{vehicles.dtype} and {walkers.shape} {walkers.dtype}"
        )
    world = np.ascontiguousarray(actors.world, np.int32)
    slot = np.ascontiguousarray(actors.slot, np.int32)
    if world.shape != (n_rows,) or slot.shape != (n_rows,):
        raise ValueError(
            f"actors must have one world and slot for each of {n_rows} egos, "
            f"got {world.shape} and {slot.shape}"
        )
    n_worlds = len(vehicles)
    if n_rows and world.view(np.uint32).max() >= n_worlds:  # below nought, it is huge
        raise ValueError(
            f"actors.world must be in [0, {n_worlds}), got {world.min()} to {world.max()}"
        )
    return (
        np.ascontiguousarray(vehicles),
        np.ascontiguousarray(walkers),
        np.ascontiguousarray(actors.lights, np.uint8),
        world,
        slot,
    )
