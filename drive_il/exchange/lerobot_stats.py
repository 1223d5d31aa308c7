"""The statistics that LeRobot keeps of every feature, as its normalisation layers read them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from drive_il.datatypes import Array, Floats

Stats = dict[str, Array]
"""min, max, mean, std, count and quantiles of one feature"""
QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
_PICTURES = 64  # looked at per episode


def of_vectors(values: Array) -> Stats:
    """Returns the statistics of rows, (T, ...), entry by entry; NaN rows are left out."""
    rows = np.asarray(values, np.float64).reshape(len(values), -1)
    rows = rows[np.isfinite(rows).all(axis=1)]
    if not len(rows):
        rows = np.zeros((1, int(np.prod(values.shape[1:], dtype=int))))
    shape = values.shape[1:] or (1,)
    stats = {
        "min": rows.min(0),
        "max": rows.max(0),
        "mean": rows.mean(0),
        "std": rows.std(0),
    }
    quantiles = np.quantile(rows, list(QUANTILES.values()), axis=0)
    stats |= dict(zip(QUANTILES, quantiles, strict=True))
    return {name: value.reshape(shape) for name, value in stats.items()} | {
        "count": np.array([len(values)])
    }


@dataclass
class PictureStats:
    """Statistics of pictures, channel by channel, from histograms of some of them.

    Attributes:
        histograms: of pixel values, (3, 256).
        count: pictures that were looked at.
    """

    histograms: Floats = field(default_factory=lambda: np.zeros((3, 256)))
    count: int = 0

    def add(self, pictures: Array) -> None:
        """Looks at up to 64 of (T, H, W, 3) uint8 pictures, evenly spaced."""
        some = pictures[:: max(1, len(pictures) // _PICTURES)]
        for channel in range(3):
            values = some[..., channel].reshape(-1)
            self.histograms[channel] += np.bincount(values, minlength=256)
        self.count += len(some)

    def stats(self) -> Stats:
        """Returns the statistics, each (3, 1, 1), of values in [0, 1]."""
        levels = np.arange(256) / 255.0
        share = self.histograms / self.histograms.sum(1, keepdims=True)
        seen = self.histograms > 0
        mean = share @ levels
        stats = {
            "min": np.array([levels[row].min() for row in seen]),
            "max": np.array([levels[row].max() for row in seen]),
            "mean": mean,
            "std": np.sqrt(np.maximum(share @ levels**2 - mean**2, 0.0)),
        }
        below = np.cumsum(share, axis=1)
        for name, quantile in QUANTILES.items():
            stats[name] = levels[(below >= quantile - 1e-12).argmax(1)]
        return {name: value.reshape(3, 1, 1) for name, value in stats.items()} | {
            "count": np.array([self.count])
        }
