"""One camera's films in a LeRobot data set: as many files as their size asks for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from drive_il.datatypes import Array
from drive_il.exchange.lerobot_stats import PictureStats
from drive_il.video import LOSSLESS, TRAINABLE, ClipWriter, Encoding

VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
"""where a film is, by LeRobot's rule"""
_BYTES = 200 << 20  # after which a new film is begun
_PER_CHUNK = 1000


def place(index: int) -> dict[str, int]:
    """Returns in which chunk a file is, and as which of it."""
    return {"chunk_index": index // _PER_CHUNK, "file_index": index % _PER_CHUNK}


@dataclass
class Films:
    """Writes the pictures of one camera, episode after episode.

    Attributes:
        folder: of the data set.
        key: of the feature.
        fps: frames per second.
        lossless: whether every bit comes back.
        stats: of the pictures so far.
    """

    folder: Path
    key: str
    fps: int
    lossless: bool
    stats: PictureStats = field(default_factory=PictureStats)
    _index: int = 0
    _clip: ClipWriter | None = None
    _shape: tuple[int, ...] = ()

    def add(self, pictures: Array) -> dict[str, Any]:
        """Adds an episode's (T, H, W, 3) uint8 pictures; returns the columns that say where."""
        self._shape = pictures.shape[1:]
        if self._clip is not None and self._clip.size > _BYTES:
            self.leave(None, None, None)
            self._index += 1
        if self._clip is None:
            path = self.folder / VIDEO.format(video_key=self.key, **place(self._index))
            self._clip = ClipWriter(path, self.fps, self._encoding()).__enter__()
        first = self._clip.n_frames
        for picture in pictures:
            self._clip.write(picture)
        self.stats.add(pictures)
        prefix = f"videos/{self.key}"
        return {f"{prefix}/{name}": value for name, value in place(self._index).items()} | {
            f"{prefix}/from_timestamp": first / self.fps,
            f"{prefix}/to_timestamp": self._clip.n_frames / self.fps,
        }

    def _encoding(self) -> Encoding:
        if self.lossless:
            return LOSSLESS
        odd = any(size % 2 for size in self._shape[:2])
        return replace(TRAINABLE, pix_fmt="yuv444p") if odd else TRAINABLE

    def info(self) -> dict[str, Any]:
        """Returns what LeRobot's info says of a film."""
        encoding = self._encoding()
        return {
            "video.height": self._shape[0],
            "video.width": self._shape[1],
            "video.channels": 3,
            "video.codec": "h264",
            "video.pix_fmt": "gbrp" if encoding.lossless else encoding.pix_fmt,
        }

    def leave(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finishes the film that is being written; after an error it is dropped."""
        if self._clip is not None:
            clip, self._clip = self._clip, None
            clip.__exit__(kind, error, trace)
