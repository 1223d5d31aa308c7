"""Clips: pictures one after the other, as mp4 or gif."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Encoding:
    """How an mp4 is encoded.

    Attributes:
        codec: FFmpeg's name of the encoder.
        pix_fmt: FFmpeg's name of the pixel format.
        options: of the encoder.
        lossless: whether every picture comes back bit for bit.
    """

    codec: str = "libx264"
    pix_fmt: str = "yuv420p"  # what every player takes
    # x264's constant rate factor: good, a few MB a minute
    options: dict[str, str] = field(default_factory=lambda: {"crf": "20"})
    lossless: bool = False


PLAYABLE = Encoding()
"""for people: small, plays everywhere"""
_SEEKABLE = {"g": "2", "bf": "0"}  # any picture is at most one picture away from a whole one
TRAINABLE = Encoding(options={"crf": "20"} | _SEEKABLE)
"""for learners that read single pictures out of long clips"""
LOSSLESS = Encoding("libx264rgb", "rgb24", {"qp": "0", "preset": "veryfast"} | _SEEKABLE, True)
"""every bit of RGB, a picture found as fast; not every player shows it"""


class ClipWriter:
    """Writes pictures into a clip; to be used as a context.

    The file appears when the context is left, whole; after an error none does.

    Args:
        path: ends in .mp4 (H.264) or .gif (at most 10 pictures a second of those given).
        fps: pictures per second.
        encoding: of an mp4.

    Raises:
        ValueError: for another ending, or a rate that is not positive.
    """

    def __init__(self, path: Path, fps: float, encoding: Encoding = PLAYABLE) -> None:
        if path.suffix.lower() not in FORMATS:
            raise ValueError(f"a clip must end in .mp4 or .gif, got {path.name!r}")
        if not (math.isfinite(fps) and fps > 0.0):
            raise ValueError(f"fps must be positive, got {fps}")
        self._path = path
        self._temporary = path.with_name(f"{path.stem}.{os.getpid()}.tmp{path.suffix.lower()}")
        self._writer: _Mp4 | _Gif
        if path.suffix.lower() == ".mp4":
            self._writer = _Mp4(self._temporary, fps, encoding)
        else:
            self._writer = _Gif(self._temporary, fps)
        self.n_frames = 0

    def write(self, picture: Array) -> None:
        """Adds a picture, (H, W, 3) uint8 RGB; all of one size, for mp4 of even numbers.

        The numbers may be odd where the encoding does not halve the colours' resolution.
        """
        self._writer.write(np.ascontiguousarray(picture))
        self.n_frames += 1

    @property
    def size(self) -> int:
        """Bytes on disk so far."""
        return self._temporary.stat().st_size if self._temporary.exists() else 0

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
    def __init__(self, path: Path, fps: float, encoding: Encoding) -> None:
        self._path = path
        self._encoding = encoding
        self._rate = Fraction(fps).limit_denominator(1000)
        self._container: Any = None
        self._stream: Any = None

    def write(self, picture: Array) -> None:
        import av

        height, width = picture.shape[:2]
        if self._container is None:
            if self._encoding.pix_fmt == "yuv420p" and (height % 2 or width % 2):
                raise ValueError(f"an mp4 needs an even width and height, got {width}x{height}")
            self._container = av.open(str(self._path), "w")
            self._stream = self._container.add_stream(
                self._encoding.codec, rate=self._rate, options=self._encoding.options
            )
            self._stream.width, self._stream.height = width, height
            self._stream.pix_fmt = self._encoding.pix_fmt
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


def read_clip(path: Path) -> Iterator[Array]:
    """Yields the pictures of an mp4, (H, W, 3) uint8 RGB, one after the other.

    Raises:
        ValueError: there is no such file, or it is no video.
    """
    import av

    if not path.is_file():
        raise ValueError(f"video {path} is missing")
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="rgb24")
    except (av.FFmpegError, IndexError) as error:
        raise ValueError(f"video {path} is damaged or no video ({error})") from error
