"""A steering direction as activations of a row of units: ALVINN's output code.

Units are linear in curvature, the first is hardest left, the middle straight on. The right
direction is a hill of activation around it; a direction is read back as the centre of mass
of the hill around the most active unit (Pomerleau 1989, 1991).
"""

from __future__ import annotations

import numpy as np

from drive_il.datatypes import Bools, Floats

HILL_1989 = (1.00, 0.89, 0.61, 0.32, 0.10)
"""activations 0, 1, ... 4 units away from the right direction"""
HILL_REACH = 6
"""units on either side of the most active one that the decoder looks at"""


def unit_of_curvature(curvature: Floats, max_curvature: float, n_units: int) -> Floats:
    """Returns the direction unit, a fraction, of a curvature; unit 0 is hardest left.

    Args:
        curvature: left positive, any shape [1/m]; what is beyond the outermost units is
            clipped to them.
        max_curvature: of the outermost units [1/m].
        n_units: units in the row.
    """
    middle = (n_units - 1) / 2
    return np.asarray(middle * (1.0 - np.clip(np.asarray(curvature) / max_curvature, -1.0, 1.0)))


def curvature_of_unit(unit: Floats, max_curvature: float, n_units: int) -> Floats:
    """Returns the curvature [1/m] of a direction unit; the inverse of `unit_of_curvature`."""
    middle = (n_units - 1) / 2
    return np.asarray((1.0 - np.asarray(unit) / middle) * max_curvature)


def hill(centre: Floats, kind: str, n_units: int) -> Floats:
    """Returns target activations.

    Args:
        centre: right direction in units, (N,).
        kind: gaussian: exp(-d^2 / 10), d units away; or 1989: that paper's values,
            interpolated between units.
        n_units: units in the row.

    Returns:
        (N, n_units) in [0, 1].
    """
    distance = np.abs(np.arange(n_units) - np.asarray(centre)[:, None])
    if kind == "gaussian":
        return np.asarray(np.exp(-(distance**2) / 10.0))
    values = (*HILL_1989, 0.0)
    return np.asarray(np.interp(distance, np.arange(len(values)), values))


def decode(activation: Floats) -> Floats:
    """Returns the centre of mass of the hill around the most active unit.

    The units looked at lie symmetrically around the most active one, so that a hill at
    the edge is not pulled inwards. Silence means the middle: straight on.

    Args:
        activation: (B, n_units).

    Returns:
        Direction in units, (B,).
    """
    activation = np.asarray(activation, np.float64)
    n_units = activation.shape[1]
    units = np.arange(n_units)
    peak = activation.argmax(1)
    reach = np.minimum(HILL_REACH, np.minimum(peak, n_units - 1 - peak))
    near: Bools = np.abs(units - peak[:, None]) <= reach[:, None]
    mass = np.where(near, activation, 0.0)
    total = mass.sum(1)
    straight = (n_units - 1) / 2
    centre = (mass * units).sum(1) / np.where(total > 0, total, 1.0)
    return np.asarray(np.where(total > 0, centre, straight), np.float64)
