"""Views drawn again from elsewhere: all that is seen moves along, and nobody is lost."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from drive_il import augment, cloning
from drive_il.actors import Traffic
from drive_il.cloning import CloningConfig
from drive_il.dataset import Dataset, EpisodeWriter
from drive_il.datatypes import Episode, EpisodeSpec
from drive_il.experiments.covariate_shift_specs import suite_routes
from drive_il.experts.planner import Planner
from drive_il.fit import ArrayBatches, Batch, labelled_frames
from drive_il.gates import ExpertDrives
from drive_il.learners import bc
from drive_il.maps import library
from drive_il.rollout import drive
from drive_il.sensor_specs import CameraSpec, ObservationSpec
from drive_il.sensors.camera import Camera
from drive_il.sensors.observer import SceneObserver
from drive_il.sensors.state import target_point
from drive_il.sim import World
from drive_il.surroundings import AROUND, actors_of
from drive_il.thinning import around_labels, thinned

SPEC = ObservationSpec(cameras=(CameraSpec(width=48, height=32),), target_point=True)
N_STEPS = 40


@cache
def drives(keep_actors: bool = True) -> list[Episode]:
    """Three drives in alder, among many, few and no others, all signals running."""
    town, routes = library.load("alder"), suite_routes("alder", training=True)
    specs = [
        EpisodeSpec(
            routes[k], k, N_STEPS, traffic=Traffic(vehicles=n, walkers=n // 2, signals=True)
        )
        for k, n in enumerate((60, 12, 0))
    ]
    return drive(
        World(town, 3),
        SceneObserver(town, SPEC),
        None,
        specs,
        expert=Planner(network=town),
        gate=ExpertDrives(),
        keep_actors=keep_actors,
    )


def camera() -> Camera:
    return Camera(library.load("alder"), SPEC.cameras[0])


def drawn_again(frames: Batch) -> np.ndarray:
    return camera().render(frames["ego"], frames["weather"], actors_of(frames))


def test_the_drives_are_among_others_of_whom_some_are_seen() -> None:
    frames = labelled_frames(drives(), surroundings=True)
    assert [one.vehicles.shape[1] > 1 for one in drives()] == [True, True, False]
    assert frames["vehicles"].shape[1] == drives()[0].vehicles.shape[1]
    alone = camera().render(frames["ego"], frames["weather"])
    seen = (alone != frames["rgb"]).any(axis=(1, 2, 3))
    assert seen[: 2 * N_STEPS].mean() > 0.5


@pytest.mark.parametrize("every", [1, 7])
def test_from_where_it_was_taken_a_picture_is_drawn_again_as_it_was(every: int) -> None:
    kept = [around_labels(one) for one in thinned(drives(), every)]
    frames = labelled_frames(kept, surroundings=True)
    assert len(frames["rgb"]) == sum(one.labels for one in kept)
    np.testing.assert_array_equal(drawn_again(frames), frames["rgb"])


@pytest.mark.parametrize("budget", [1 << 30, 1 << 20])
def test_from_disk_as_well_whatever_fits_in_memory(tmp_path: Path, budget: int) -> None:
    write = EpisodeWriter(tmp_path)
    for one in drives():
        write(one)
    batches = Dataset(tmp_path).batches(memory_budget=budget, batch_size=16, surroundings=True)
    assert batches.fits == (budget > 1 << 20)
    found = list(batches.epoch(0))
    assert sum(len(one["rgb"]) for one in found) == 3 * N_STEPS
    for frames in found:
        np.testing.assert_array_equal(drawn_again(frames), frames["rgb"])
    assert not {*AROUND, "slot"} & set(next(Dataset(tmp_path).batches().epoch(0)))


def test_picture_and_target_point_are_those_of_the_moved_ego() -> None:
    config = CloningConfig("viewpoint", viewpoint=augment.ViewpointConfig(probability=1.0))
    frames = labelled_frames(drives(), surroundings=True)
    prepare = cloning._augmentation(config, SPEC, 3, camera().render)
    [view] = ArrayBatches(frames, 3 * N_STEPS, shuffled=False, transform=prepare).epoch(0)
    shift, rotation = augment.moves(config.viewpoint, augment.Draw(3, 0, np.arange(3 * N_STEPS)))
    ego = augment.shifted(frames["ego"], shift, rotation)
    there = camera().render(ego, frames["weather"], actors_of(frames))
    np.testing.assert_array_equal(view["rgb"], there)
    progress = np.concatenate([one.progress[:-1] for one in drives()])
    np.testing.assert_allclose(view["target_point"], target_point(ego, progress), atol=1e-4)
    assert np.abs(view["target_point"] - frames["target_point"]).max() > 0.5


def test_what_would_stay_behind_is_refused(tmp_path: Path) -> None:
    config = CloningConfig("both")
    for also in ({"birdview": True}, {"state": True}):
        [name] = also
        with pytest.raises(ValueError, match=f"moves the camera, and {name} would stay"):
            bc.train(drives(), config, 0, camera().render, spec=replace(SPEC, **also))
    forgotten = drives(keep_actors=False)
    with pytest.raises(ValueError, match="was among .* vehicles, but does not hold where"):
        bc.train(forgotten, config, 0, camera().render, spec=SPEC)
    write = EpisodeWriter(tmp_path)
    for one in forgotten:
        write(one)
    with pytest.raises(ValueError, match="parquet was among .* record with keep_actors=True"):
        bc.train(Dataset(tmp_path), config, 0, camera().render, spec=SPEC)
