"""An episode for people: what it saw as a clip, or a strip of it over its curves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from drive_il.datatypes import Array, Command, Episode, Who
from drive_il.sensors.views import TAG_COLORS, captioned
from drive_il.video import FORMATS, ClipWriter

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEIGHT = 320  # pixels that a picture of a clip has at least
_DROVE = {Who.EXPERT: "#2a7f8e", Who.HUMAN: "#e0912f"}


def cameras(episode: Episode) -> list[str]:
    """Returns the names of observations that can be shown as pictures."""
    return [
        name
        for name, value in episode.observations.items()
        if value.dtype == np.uint8
        and (value.ndim == 4 and value.shape[-1] == 3 or value.ndim == 3)
        and min(value.shape[1:3]) > 1
    ]


def view(
    episode: Episode,
    out: Path,
    camera: str | None = None,
    n_pictures: int = 8,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Writes an episode as a clip (.mp4, .gif) or as one picture (.png).

    Args:
        episode: with pictures, for a clip; at least one step.
        out: the file to write.
        camera: which observation is shown; the first picture if not given.
        n_pictures: in the strip of a .png.
        told: (pictures done, pictures in all), after each of a clip.

    Raises:
        ValueError: another ending, no such camera, or no pictures to make a clip of.
    """
    able = cameras(episode)
    if camera is not None and camera not in able:
        raise ValueError(f"the episode has no pictures called {camera!r}; it has {able}")
    if episode.n_steps == 0:
        raise ValueError("the episode holds no step, there is nothing to see")
    shown = camera or next(iter(able), None)
    suffix = out.suffix.lower()
    if suffix == ".png":
        _strip(episode, shown, out, n_pictures)
    elif suffix not in FORMATS:
        raise ValueError(f"give a file that ends in .mp4, .gif or .png, got {out.name!r}")
    elif shown is None:
        raise ValueError(
            "the episode was recorded without pictures; `drive-il replay EPISODE --out CLIP` "
            "drives it again and films it, a .png shows its curves"
        )
    else:
        _clip(episode, shown, out, told)


def _clip(episode: Episode, camera: str, out: Path, told: Callable[[int, int], None]) -> None:
    with ClipWriter(out, 1.0 / episode.dt) as clip:
        for t in range(episode.n_steps):
            picture = _enlarged(_colored(episode.observations[camera][t]))
            clip.write(captioned(picture, line(episode, t)))
            told(t + 1, episode.n_steps)


def line(episode: Episode, t: int) -> str:
    """Returns what happens at a step, one line for people."""
    who = Who(int(episode.who[t])).name.lower()
    parts = [
        f"{t * episode.dt:.1f} s, step {t}",
        f"{3.6 * episode.ego['speed'][t]:.0f} km/h",
        Command(int(episode.progress["command"][t])).name.lower(),
        f"{who} steers {episode.control['steer'][t]:+.2f}",
    ]
    if episode.asked[t] and who == "policy":  # others are labelled by what they do
        parts.append(f"label {episode.expert_control['steer'][t]:+.2f}")
    return "  ".join(parts)


def _colored(picture: Array) -> Array:
    """Returns a picture of classes in CARLA's colours; others as they are."""
    if picture.ndim == 3:
        return picture
    return np.asarray(TAG_COLORS[np.minimum(picture, len(TAG_COLORS) - 1)])


def _enlarged(picture: Array) -> Array:
    """Returns a picture whose pixels are blocks, with an even width and height."""
    factor = max(1, -(-_HEIGHT // picture.shape[0]))
    large = picture.repeat(factor, axis=0).repeat(factor, axis=1)
    return np.ascontiguousarray(large[: large.shape[0] // 2 * 2, : large.shape[1] // 2 * 2])


def _strip(episode: Episode, camera: str | None, out: Path, n_pictures: int) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 6.2 if camera else 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    n_columns = max(1, min(n_pictures, episode.n_steps + 1)) if camera else 1
    grid = figure.add_gridspec(4, n_columns, height_ratios=(1.1 if camera else 0.01, 1, 1, 1))
    at = np.linspace(0, episode.n_steps, n_columns).round().astype(int)
    if camera:
        for k, t in enumerate(at):
            axes = figure.add_subplot(grid[0, k])
            axes.imshow(_colored(episode.observations[camera][t]), interpolation="nearest")
            axes.set_title(f"{t * episode.dt:.1f} s", fontsize=9)
            axes.set_axis_off()
    rows = [figure.add_subplot(grid[k, :]) for k in (1, 2, 3)]
    _curves(rows, episode)
    route = episode.spec.route
    figure.suptitle(
        f"{route.town}, route {route.id}, seed {episode.spec.seed}: {episode.n_steps} steps, "
        f"{episode.outcome.name.lower()}"
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=100)


def _curves(rows: list[Axes], episode: Episode) -> None:
    steer, speed, lateral = rows
    time = np.arange(episode.n_steps + 1) * episode.dt
    steer.plot(time[:-1], episode.control["steer"], color="black", lw=1, label="executed")
    label = np.where(episode.asked, episode.expert_control["steer"], np.nan)
    steer.plot(time[:-1], label, color="#d1495b", lw=1, ls="--", label="label")
    steer.set_ylabel("steer (left +)")
    speed.plot(time, episode.ego["speed"], color="black", lw=1, label="speed")
    limit = episode.progress["speed_limit"]
    speed.plot(time, limit, color="#d1495b", lw=1, ls="--", label="limit")
    speed.set_ylabel("speed [m/s]")
    lateral.plot(time, episode.progress["lateral_error"], color="black", lw=1)
    lateral.set_ylabel("lateral error [m]")
    lateral.set_xlabel("time [s]")
    for axes, least in ((steer, 0.1), (lateral, 0.5)):  # smaller wriggles are nothing to look at
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, -least), max(high, least))
    for axes in rows:
        for who, color in _DROVE.items():
            drove = np.append(episode.who == who, False)
            if drove.any():
                axes.fill_between(
                    time,
                    0,
                    1,
                    where=drove,
                    color=color,
                    alpha=0.12,
                    lw=0,
                    transform=axes.get_xaxis_transform(),
                    label=f"{who.name.lower()} drove",
                )
        axes.set_xlim(0.0, time[-1])
    for axes in rows[:2]:
        # Above the curves, where it hides none of them.
        axes.legend(
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            borderaxespad=0.2,
            fontsize=8,
            ncols=4,
            frameon=False,
        )
