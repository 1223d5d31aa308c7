"""Kinds of vehicles: sizes, dynamics, colours and the temper of their drivers."""

from __future__ import annotations

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.actors import ActorKind

MODEL = np.dtype(
    [
        ("kind", "i4"),  # ActorKind
        ("share", "f8"),  # of all traffic
        ("length", "f8"),  # [m]
        ("width", "f8"),
        ("height", "f8"),
        ("rear_wheelbase", "f8"),  # [m] from the centre back to the rear axle
        ("power", "f8"),  # drive and brakes as a share of the default car's
        ("mass", "f8"),  # [kg]
        ("eager", "f8"),  # [m/s^2] IDM's a
        ("top_speed", "f8"),  # [m/s]
    ]
)
"""One kind of vehicle. Sizes are those of CARLA's blueprints of that kind, rounded."""

MODELS = np.array(
    [
        (ActorKind.CAR, 0.72, 4.6, 1.9, 1.5, 1.4, 1.0, 1500.0, 1.8, 70.0),
        (ActorKind.VAN, 0.10, 5.6, 2.0, 2.4, 1.8, 0.8, 2200.0, 1.5, 45.0),
        (ActorKind.TRUCK, 0.05, 7.6, 2.4, 3.2, 2.4, 0.5, 7500.0, 1.1, 25.0),
        (ActorKind.BUS, 0.03, 9.0, 2.4, 3.1, 3.0, 0.5, 11000.0, 1.1, 25.0),
        (ActorKind.MOTORCYCLE, 0.06, 2.2, 0.8, 1.6, 0.7, 1.3, 300.0, 2.4, 60.0),
        (ActorKind.BICYCLE, 0.04, 1.7, 0.6, 1.7, 0.5, 0.25, 90.0, 1.0, 6.0),
        (ActorKind.PROP, 0.0, 1.0, 1.0, 1.2, 0.4, 0.0, 500.0, 1.0, 0.0),
    ],
    MODEL,
)
"""One MODEL per ActorKind, in its order."""

PAINTS = np.array(
    [
        (205, 205, 208),
        (28, 28, 32),
        (122, 126, 132),
        (158, 28, 30),
        (30, 62, 128),
        (234, 232, 222),
        (62, 84, 66),
        (196, 148, 60),
    ],
    np.uint8,
)
"""Colours of vehicles, (N, 3)."""

MODELS_TYPE = nt.Array(kernels.record(MODEL), 1, "C", readonly=True)
"""Numba type of `MODELS`."""
