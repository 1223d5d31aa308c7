"""The bicycle's steering geometry: steer <-> wheel angle <-> curvature of the path.

One source for the simulator, which integrates it, and for everything that converts a
label between steer and curvature. Kinematic bicycle about the vehicle's centre:

    beta = atan(rear / (front + rear) * tan(gain * steer))     slip of the centre
    curvature = sin(beta) / rear                               of the centre's path

The constants were fitted to CARLA's default car by others (WorldOnRails); the fit puts
the point that moves along the path close to the front axle, hence the negative front.
Steer, angle and curvature are LEFT positive.
"""

from __future__ import annotations

import numpy as np

from drive_il.datatypes import Floats

FRONT_WHEELBASE = -0.090769015
"""front axle ahead of the reference point [m]"""
REAR_WHEELBASE = 1.4178275
"""rear axle behind the reference point [m]"""
STEER_GAIN = 0.36848336
"""angle of the front wheels at full steer [rad]"""
SLIP_RATIO = REAR_WHEELBASE / (FRONT_WHEELBASE + REAR_WHEELBASE)
"""tan(slip) over tan(wheel angle)"""
MAX_CURVATURE = float(np.sin(np.arctan(SLIP_RATIO * np.tan(STEER_GAIN))) / REAR_WHEELBASE)
"""curvature of the path at full steer [1/m]"""


def curvature_of_steer(steer: Floats) -> Floats:
    """Returns the curvature [1/m] of the path at a constant steer in [-1, 1], same shape."""
    slip = np.arctan(SLIP_RATIO * np.tan(STEER_GAIN * np.asarray(steer, np.float64)))
    return np.asarray(np.sin(slip) / REAR_WHEELBASE)


def steer_of_curvature(curvature: Floats) -> Floats:
    """Returns the steer in [-1, 1] of a curvature [1/m], same shape.

    Curvatures tighter than full steer reaches give full steer.
    """
    reachable = np.clip(np.asarray(curvature, np.float64), -MAX_CURVATURE, MAX_CURVATURE)
    slip = np.arcsin(reachable * REAR_WHEELBASE)
    return np.asarray(np.clip(np.arctan(np.tan(slip) / SLIP_RATIO) / STEER_GAIN, -1.0, 1.0))
