"""drive-il replay: drives a recorded drive again, bit for bit, and films it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import tyro

if TYPE_CHECKING:
    from collections.abc import Callable

    from drive_il.datatypes import Array, Episode, Scene
    from drive_il.maps.network import RoadNetwork
    from drive_il.sensor_specs import CameraSpec


@dataclass(frozen=True)
class View:
    """One camera on the ego; the three panels of `drive-il show` if no width is given."""

    width: int = 0
    """pixels; even"""
    height: int = 0
    """pixels; even. Two thirds of the width if not given"""
    fov: float = 90.0
    """horizontal field of view [deg]"""
    x: float = 1.3
    """forward of the ego's centre [m]"""
    y: float = 0.0
    """left of it [m]"""
    z: float = 1.6
    """above the road [m]"""
    yaw: float = 0.0
    """to the left [deg]"""
    pitch: float = 0.0
    """nose up [deg]"""
    roll: float = 0.0
    """right side down [deg]"""

    def camera(self) -> CameraSpec:
        """Returns the camera.

        Raises:
            ValueError: an odd or impossible size, field of view or place.
        """
        from drive_il.sensor_specs import CameraSpec

        height = self.height or self.width * 2 // 3 // 2 * 2
        if self.width % 2 or height % 2:
            raise ValueError(
                f"a clip needs an even width and height, got {self.width}x{height}; "
                "give --view.width and --view.height"
            )
        yaw, pitch, roll = np.radians((self.yaw, self.pitch, self.roll)).tolist()
        place = {"x": self.x, "y": self.y, "z": self.z, "yaw": yaw, "pitch": pitch, "roll": roll}
        return CameraSpec("rgb", width=self.width, height=height, fov=self.fov, **place)


def replay(
    what: Annotated[Path, tyro.conf.Positional],
    /,
    route: str = "",
    repetition: int = 0,
    record: Path | None = None,
    out: Path | None = None,
    view: View = View(),
) -> None:
    """Drives a recorded drive again from its controls, checks it bit for bit, and films it.

        drive-il replay runs/data/alder-3-17-0123456789.parquet --out drive.mp4
        drive-il replay runs/leaderboard/results.json --route 3 --out drive.gif
        drive-il replay EPISODE --out c.mp4 --view.width 960 --view.x -7 --view.z 3 --view.pitch -12

    Args:
        what: an episode's file, or the results of a leaderboard run that was given --record.
        route: id of the route, with a results file.
        repetition: which drive of that route.
        record: folder of the run's episodes, if it is no longer where the run had it.
        out: also write a clip here, .mp4 or .gif.
        view: another camera than the three panels.
    """
    from drive_il.dataset_file import EpisodeFile
    from drive_il.maps import library

    path = _from_results(what, route, repetition, record) if what.suffix == ".json" else what
    episode = EpisodeFile(path, check=True).load()
    network = library.load(episode.spec.route.town)
    _again(network, episode, out, view)


def _from_results(path: Path, route: str, repetition: int, record: Path | None) -> Path:
    """Returns the file of one drive of a run."""
    from drive_il.evaluation import results_file

    document = results_file.load(path)
    drives = dict(
        zip(
            [(one.route, one.repetition) for one in results_file.route_results(document)],
            document["_checkpoint"]["records"],
            strict=True,
        )
    )
    if (route, repetition) not in drives:
        known = ", ".join(dict.fromkeys(name for name, _ in drives))
        raise ValueError(
            f"{path} has no drive of route {route!r}, repetition {repetition}; --route takes one "
            f"of {known}"
        )
    name: str | None = drives[route, repetition]["drive_il"].get("episode")
    folder = record or Path(document["drive_il"].get("entry", {}).get("record") or "")
    if name is None:
        raise ValueError(
            f"the run behind {path} kept no episodes; run it again with --record FOLDER"
        )
    return folder / name


def _again(network: RoadNetwork, episode: Episode, out: Path | None, view: View) -> None:
    from contextlib import nullcontext

    from drive_il.cli.progress import bar
    from drive_il.rollout import Step
    from drive_il.sim.world import World
    from drive_il.theory.forks import replay as drive_again
    from drive_il.video import ClipWriter

    draw = None if out is None else _drawer(network, view)
    spec = replace(episode.spec, max_steps=episode.n_steps)
    world = World(network, 1, [spec.route], dt=episode.dt)
    clip = nullcontext() if out is None else ClipWriter(out, 1.0 / episode.dt)
    with clip as writer, bar() as progress:
        task = progress.add_task(f"driving {network.name} again", total=episode.n_steps)

        def listener(step: Step) -> None:
            if writer is not None and draw is not None:
                writer.write(draw(step.scene))
            progress.advance(task)

        [again] = drive_again(world, [spec], [episode.control], listener)
    same = (again.ego == episode.ego[: len(again.ego)]) & (
        again.events == episode.events[: len(again.events)]
    )
    if not same.all():
        step = int(np.flatnonzero(~same)[0])
        raise RuntimeError(
            f"the drive came out differently from step {step} on: it was recorded with other code, "
            "another version of a library or on another kind of processor"
        )
    print(f"{len(again.ego)} states driven again, every bit as recorded")
    if out is not None:
        print(f"wrote {out}")


def _drawer(network: RoadNetwork, view: View) -> Callable[[Scene], Array]:
    from drive_il.sensor_specs import ObservationSpec
    from drive_il.sensors.observer import SceneObserver
    from drive_il.sensors.views import SideBySide, caption, captioned

    if not view.width:
        panels = SideBySide(network, height=320)
        return lambda scene: captioned(panels.draw(scene), caption(scene))
    observer = SceneObserver(network, ObservationSpec(cameras=(view.camera(),)))
    row = np.zeros(1, np.int64)
    return lambda scene: captioned(observer.observe(scene, row)["rgb"][0], caption(scene))
