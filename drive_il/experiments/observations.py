"""The observations that learners are compared by, under the names of the command line."""

from __future__ import annotations

from typing import Literal

from drive_il.sensor_specs import ObservationSpec, VectorSpec

Observed = Literal["camera", "state", "vectors"]
OBSERVATIONS: dict[str, ObservationSpec] = {
    "camera": ObservationSpec(),
    "state": ObservationSpec(cameras=(), state=True, state_actors=8),
    "vectors": ObservationSpec(cameras=(), vectors=VectorSpec()),
}
"""the 96x64 colour camera; the state vector with the 8 nearest actors; lanes and actors"""
