"""Clips: pictures one after the other, as mp4 or gif."""

from __future__ import annotations

import math
import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from drive_il.datatypes import Array

if TYPE_CHECKING:
    from PIL import Image

FORMATS = (".mp4", ".gif")
"""what a clip can be, by the end of its name"""
_GIF_RATE = 10.0  # [1/s] more makes large files, and viewers slow down what is faster than 50
_QUALITY = "20"  # x264's constant rate factor: good, a few MB a minute


class ClipWriter:
    """Writes pictures into a clip; to be used as a context.

    The file appears when the context is left, whole; after an error none does.

    Args:
        path: ends in .mp4 (H.264) or .gif (at most 10 pictures a second of those given).
        fps: pictures per second.

    Raises:
        ValueError: for another ending, or a rate that is not positive.
    """

    def __init__(self, path: Path, fps: float) -> None:
        if path.suffix.lower() not in FORMATS:
            raise ValueError(f"a clip must end in .mp4 or .gif, got {path.name!r}")
        if not (math.isfinite(fps) and fps > 0.0):
            raise ValueError(f"fps must be positive, got {fps}")
        self._path = path
        self._temporary = path.with_name(f"{path.stem}.{os.getpid()}.tmp{path.suffix.lower()}")
        self._writer: _Mp4 | _Gif
        if path.suffix.lower() == ".mp4":
            self._writer = _Mp4(self._temporary, fps)
        else:
            self._writer = _Gif(self._temporary, fps)
        self.n_frames = 0

    def write(self, picture: Array) -> None:
        """Adds a picture, (H, W, 3) uint8 RGB; all of one size, for mp4 of even numbers."""
        self._writer.write(np.ascontiguousarray(picture))
        self.n_frames += 1

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._writer.close()
            if kind is None:
                if self.n_frames == 0:
                    raise ValueError(f"{self._path} would hold no picture; write at least one")
                self._temporary.replace(self._path)
        finally:
            self._temporary.unlink(missing_ok=True)


class _Mp4:
    def __init__(self, path: Path, fps: float) -> None:
        self._path = path
        self._rate = Fraction(fps).limit_denominator(1000)
        self._container: Any = None
        self._stream: Any = None

    def write(self, picture: Array) -> None:
        import av

        height, width = picture.shape[:2]
        if self._container is None:
            if height % 2 or width % 2:
                raise ValueError(f"an mp4 needs an even width and height, got {width}x{height}")
            self._container = av.open(str(self._path), "w")
            self._stream = self._container.add_stream(
                "libx264", rate=self._rate, options={"crf": _QUALITY}
            )
            self._stream.width, self._stream.height = width, height
            self._stream.pix_fmt = "yuv420p"  # what every player takes
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        if self._container is not None:
            self._container.mux(self._stream.encode())
            self._container.close()


class _Gif:
    def __init__(self, path: Path, fps: float) -> None:
        self._path = path
        self._every = max(1, round(fps / _GIF_RATE))
        self._seconds = self._every / fps
        self._frames: list[Image.Image] = []
        self._count = 0

    def write(self, picture: Array) -> None:
        from PIL import Image

        if self._count % self._every == 0:
            whole = Image.fromarray(picture)
            self._frames.append(whole.quantize(128, dither=Image.Dither.NONE))
        self._count += 1

    def close(self) -> None:
        if self._frames:
            first, *rest = self._frames
            first.save(
                self._path,
                save_all=True,
                append_images=rest,
                duration=round(1000.0 * self._seconds),
                loop=0,
            )
