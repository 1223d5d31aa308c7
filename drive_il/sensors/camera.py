"""The camera: RGB, depth and semantic pictures of any size, field of view and pose.

A pinhole without distortion, the principal point in the middle of the picture, square
pixels. The ground is flat in the camera's eyes: it lies at the height of the ego's own road,
the ego's pitch and roads at other heights do not show.

A level camera (pitch and roll zero) draws row by row and column by column: a row of ground
is an affine walk, a column meets each prism once. Any other camera traces every pixel, with
the same expressions in the same order, so that both draw the same picture where both apply.
"""

from __future__ import annotations

import math

import numpy as np

from drive_il import kernels
from drive_il.datatypes import VEHICLE, WEATHER, Array, CameraSpec, Records
from drive_il.maps.network import RoadNetwork
from drive_il.maps.scenery import scenery
from drive_il.sensors.ground import ground_map
from drive_il.sensors.lens import LENS, RGB, KINDS
from drive_il.sensors.light import textures
from drive_il.sensors.prisms import Solids, solids
