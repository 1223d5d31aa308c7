"""Clips come back from the disk as they were written."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from drive_il.video import ClipWriter


def flat(value: int) -> np.ndarray:
    return np.full((48, 64, 3), value, np.uint8)


def test_an_mp4_has_every_picture_at_its_rate(tmp_path: Path) -> None:
    path = tmp_path / "new" / "clip.mp4"
    levels = [20, 90, 160, 230]
    with ClipWriter(path, 20.0) as clip:
        for level in levels:
            clip.write(flat(level))
    with av.open(str(path)) as read:
        assert read.streams.video[0].average_rate == 20
        frames = [frame.to_ndarray(format="rgb24") for frame in read.decode(video=0)]
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 4
    for frame, level in zip(frames, levels, strict=True):
        assert np.abs(frame.astype(int) - level).max() <= 6  # H.264 loses a little
    assert list(path.parent.iterdir()) == [path]


def test_a_gif_has_ten_pictures_a_second(tmp_path: Path) -> None:
    path = tmp_path / "clip.gif"
    with ClipWriter(path, 20.0) as clip:
        for level in range(0, 200, 20):
            clip.write(flat(level))
    with Image.open(path) as read:
        assert read.n_frames == 5  # type: ignore[attr-defined]
        assert read.info["duration"] == 100
        read.seek(3)
        assert np.asarray(read.convert("RGB"))[0, 0].tolist() == [120, 120, 120]


@pytest.mark.parametrize("name", ["clip.mp4", "clip.gif"])
def test_an_error_leaves_no_half_clip(tmp_path: Path, name: str) -> None:
    def interrupted() -> None:
        with ClipWriter(tmp_path / name, 20.0) as clip:
            clip.write(flat(7))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(ValueError, match="would hold no picture"), ClipWriter(tmp_path / name, 5.0):
        pass
    assert list(tmp_path.iterdir()) == []


def test_clips_there_are_not(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must end in .mp4 or .gif, got 'clip.avi'"):
        ClipWriter(tmp_path / "clip.avi", 20.0)
    with pytest.raises(ValueError, match="fps must be positive, got 0"):
        ClipWriter(tmp_path / "clip.mp4", 0.0)
    odd = pytest.raises(ValueError, match="even width and height, got 63x48")
    with odd, ClipWriter(tmp_path / "clip.mp4", 20.0) as clip:
        clip.write(flat(7)[:, :63])
