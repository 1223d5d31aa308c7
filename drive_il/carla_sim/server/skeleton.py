"""The bones of CARLA's walkers, in one pose: a person who stands, arms hanging.

Names and tree are those of CARLA's pedestrian skeleton ("Walker Bone Control"). People here are
drawn as figures without joints, so the bones follow the walker's place, heading and height, and
neither its stride nor a pose that a client sets.
"""

from __future__ import annotations

from typing import Any

from drive_il.carla_sim.server.frames import ORIGIN, Transform, composed, transform_to_wire

Point = tuple[float, float, float]
"""ahead, to the right, above the ground; in body heights"""

_TRUNK: dict[str, tuple[str, Point]] = {
    "crl_root": ("", (0.0, 0.0, 0.0)),
    "crl_hips__C": ("crl_root", (0.0, 0.0, 0.53)),
    "crl_spine__C": ("crl_hips__C", (0.0, 0.0, 0.60)),
    "crl_spine01__C": ("crl_spine__C", (0.0, 0.0, 0.70)),
    "crl_neck__C": ("crl_spine01__C", (0.0, 0.0, 0.84)),
    "crl_Head__C": ("crl_neck__C", (0.01, 0.0, 0.88)),
}
_SIDE: dict[str, tuple[str, Point]] = {
    "crl_eye__": ("crl_Head__C", (0.06, 0.018, 0.93)),
    "crl_shoulder__": ("crl_spine01__C", (0.0, 0.02, 0.80)),
    "crl_arm__": ("crl_shoulder__", (0.0, 0.105, 0.80)),
    "crl_foreArm__": ("crl_arm__", (0.0, 0.125, 0.61)),
    "crl_hand__": ("crl_foreArm__", (0.01, 0.135, 0.45)),
    "crl_thigh__": ("crl_hips__C", (0.0, 0.055, 0.51)),
    "crl_leg__": ("crl_thigh__", (0.0, 0.055, 0.28)),
    "crl_foot__": ("crl_leg__", (-0.01, 0.055, 0.045)),
    "crl_toe__": ("crl_foot__", (0.065, 0.055, 0.01)),
    "crl_toeEnd__": ("crl_toe__", (0.09, 0.055, 0.01)),
}
_FINGERS = {"Thumb": 0.03, "Index": 0.02, "Middle": 0.007, "Ring": -0.007, "Pinky": -0.02}
_JOINTS = ("", "01", "02", "End")
_FINGER_FROM, _FINGER_LINK = 0.425, 0.014


def _skeleton() -> dict[str, tuple[str, Point]]:
    """Every bone with its parent and its place; parents come first."""
    bones = dict(_TRUNK)
    for side, sign in (("L", -1.0), ("R", 1.0)):
        for stem, (parent, (x, y, z)) in _SIDE.items():
            above = parent if parent.endswith("C") else parent + side
            bones[stem + side] = (above, (x, sign * y, z))
        for finger, ahead in _FINGERS.items():
            above = f"crl_hand__{side}"
            for joint, link in enumerate(_JOINTS):
                z = _FINGER_FROM - _FINGER_LINK * joint
                name = f"crl_hand{finger}{link}__{side}"
                bones[name] = (above, (0.01 + ahead, sign * 0.135, z))
                above = name
    return bones


BONES = _skeleton()
"""parent ("" of the root) and place of every bone, in body heights"""


def bones_on_wire(centre: Transform, height: float) -> list[Any]:
    """The bones as the client reads them: name, place in the world, on the walker, on the parent.

    Args:
        centre: of the walker's body, in CARLA's frame.
        height: of the walker [m].
    """
    found = []
    for name, (parent, place) in BONES.items():
        origin = BONES[parent][1] if parent else (0.0, 0.0, 0.0)
        on_body = _shifted(place, (0.0, 0.0, 0.5), height)
        on_parent = _shifted(place, origin, height)
        steps = (composed(centre, on_body), on_body, on_parent)
        found.append([name, *(transform_to_wire(one) for one in steps)])
    return found


def _shifted(place: Point, origin: Point, height: float) -> Transform:
    x, y, z = (height * (a - b) for a, b in zip(place, origin, strict=True))
    return (x, y, z, *ORIGIN[3:])
