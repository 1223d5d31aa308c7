"""What the driving network takes of an observation, and what it learns from recorded frames."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from drive_il.datatypes import Array, Floats, Records
from drive_il.sensor_specs import CameraSpec, ObservationSpec
from drive_il.vector_layouts import ACTOR, BIRDVIEW_SHAPE, LANE, STATE


def pedals_to_acceleration(control: Records) -> Floats:
    """Returns throttle minus brake as one number in [-1, 1], (N,) float32."""
    return np.asarray(control["throttle"] - control["brake"], np.float32)


def actions_of(control: Records) -> Floats:
    """Returns steer, and throttle minus brake, of (N,) CONTROL, (N, 2)."""
    return np.stack((control["steer"], control["throttle"] - control["brake"]), 1)


def driving_camera(spec: ObservationSpec) -> CameraSpec:
    """Returns the one RGB camera of an observation.

    Raises:
        ValueError: there is none, or more than one.
    """
    cameras = [camera for camera in spec.cameras if camera.kind == "rgb"]
    if len(cameras) != 1:
        raise ValueError(
            "this learner drives from exactly one rgb camera, the observation has "
            f"{len(cameras)}: {[camera.name for camera in cameras]}"
        )
    return cameras[0]


def driving_inputs(spec: ObservationSpec) -> tuple[str, ...]:
    """Returns what the network takes of an observation, by the names it uses.

    Raises:
        ValueError: nothing it could drive by, or more than one rgb camera.
    """
    names: tuple[str, ...] = ("speed", "command")
    if spec.cameras:
        driving_camera(spec)
        names = ("rgb", *names)
    if spec.birdview:
        names += ("birdview",)
    if spec.state:
        names += ("state",)
    if spec.vectors is not None:
        names += ("lanes", "lanes_mask") + (("actors", "actors_mask") * bool(spec.vectors.actors))
    if len(names) == 2:
        raise ValueError(
            "nothing to drive by: this learner sees an rgb camera, the bird's-eye view "
            "(birdview=True), the state vector (state=True) or the scene as vectors "
            "(vectors=VectorSpec())"
        )
    if spec.target_point:
        names += ("target_point",)
    if spec.previous_action:
        names += ("previous_action",)
    if spec.standing:
        names += ("standing",)
    return names


def observed(seen: Mapping[str, Array], spec: ObservationSpec) -> dict[str, Array]:
    """Returns the network's inputs of an observation, or of recorded frames.

    Args:
        seen: named arrays with B rows, as an observer gives them.
        spec: the sensors that the network was made for.

    Raises:
        ValueError: a sensor is missing or of another size.
    """
    inputs = {}
    for name in driving_inputs(spec):
        key = driving_camera(spec).name if name == "rgb" else name
        value = seen.get(key)
        wanted = _shape_of(name, spec)
        is_bad = value is None or value.shape[1:] != wanted
        is_picture = name in ("rgb", "birdview")
        if value is None or is_bad or (is_picture and value.dtype != np.uint8):
            found = "none" if value is None else f"{value.shape[1:]} {value.dtype}"
            raise ValueError(
                f"the observation must hold {key!r} of shape {wanted} per row, got {found}; "
                "observe and record with the policy's own spec"
            )
        dtype = {"speed": np.float32, "command": np.int64}.get(name, value.dtype)
        inputs[name] = np.asarray(value, dtype)
    return inputs


def _shape_of(name: str, spec: ObservationSpec) -> tuple[int, ...]:
    if name == "rgb":
        camera = driving_camera(spec)
        return camera.height, camera.width, 3
    if name == "state":
        return (len(STATE) + spec.state_actors * (1 + len(ACTOR)),)
    if name in ("speed", "command"):
        return ()
    if name in ("target_point", "previous_action", "standing"):
        return (2,)
    if name == "birdview":
        return BIRDVIEW_SHAPE[bool(spec.birdview_actors)]
    assert spec.vectors is not None, name
    return {
        "lanes": (spec.vectors.lanes, spec.vectors.points, len(LANE)),
        "lanes_mask": (spec.vectors.lanes,),
        "actors": (spec.vectors.actors, len(ACTOR)),
        "actors_mask": (spec.vectors.actors,),
    }[name]


def driving_frames(frames: Mapping[str, Array], spec: ObservationSpec) -> dict[str, Array]:
    """Returns what `driving_loss` needs of labelled frames.

    Args:
        frames: named arrays with N rows: the observation and `control`, the expert's labels.
        spec: the sensors to learn from.

    Returns:
        `driving_inputs`, `target` (N, 2) float32: steer and acceleration, and where the
        frames have waypoints `places` (N, K, 2) float32 [m].

    Raises:
        ValueError: a sensor is missing or of another size, or a label is missing.
    """
    control = frames["control"]
    target = np.stack((control["steer"], pedals_to_acceleration(control)), 1).astype(np.float32)
    if not np.isfinite(target).all():
        raise ValueError("a labelled frame has no expert control (NaN); verify the dataset")
    labels = {"target": target}
    if "waypoints" in frames:
        labels["places"] = np.asarray(frames["waypoints"], np.float32)
    return observed(frames, spec) | labels
