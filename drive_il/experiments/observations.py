"""The observations that learners are compared by, under the names of the command line."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from drive_il.sensor_specs import ObservationSpec, VectorSpec

Observed = Literal["camera", "birdview", "state", "vectors"]
OBSERVATIONS: dict[str, ObservationSpec] = {
    "camera": ObservationSpec(),
    "birdview": ObservationSpec(cameras=(), birdview=True, birdview_actors=True),
    "state": ObservationSpec(cameras=(), state=True, state_actors=8),
    "vectors": ObservationSpec(cameras=(), vectors=VectorSpec()),
}
"""the 96x64 colour camera; the bird's-eye view with actors; the state vector with the 8 nearest
actors; lanes and actors"""


def spec_of(
    name: str,
    target_point: bool = False,
    previous_action: bool = False,
    standing: bool = False,
) -> ObservationSpec:
    """Returns one of OBSERVATIONS, with what a learner may be given beside it.

    Args:
        name: key of OBSERVATIONS.
        target_point: show the next far waypoint.
        previous_action: show what the last step did.
        standing: show for how long the ego has stood, and whether at its stop sign.
    """
    return replace(
        OBSERVATIONS[name],
        target_point=target_point,
        previous_action=previous_action,
        standing=standing,
    )
