"""Inks: the colours of pixels, three bytes in one word, and how they become a picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from drive_il import kernels
from drive_il.datatypes import Ints


@kernels.inner
def ink(color: int) -> int:
    """Returns a packed colour in the order of its bytes in a picture: red, green, blue."""
    return color & 0xFF00FF | (color >> 24) & 0xFF00


@kernels.inner
def color_of(word: int) -> int:
    """Returns the packed colour of an ink."""
    return (word & 0xFF00FF) | (word & 0xFF00) << 24


@kernels.inner
def inked(low: Any, high: Any) -> Any:
    """Returns the ink of a colour whose two words of 32 bits are given."""
    return np.uint32(low | np.uint32(high << np.uint32(8)))


@kernels.inner
def over_ink(below: Any, above: Any, is_seen: bool) -> Any:
    """Returns one of two inks; without a branch, so that many are chosen at once."""
    return below ^ ((below ^ above) & -int(is_seen))


@kernels.inner
def put(row: Ints, j: int, color: int) -> None:
    """Writes a packed colour into a row of inks, (W,)."""
    row[j] = ink(color)


@kernels.inner
def _develop_words(inks: Ints, lens: Any, words: Ints) -> None:
    """Writes red, green and blue of four pixels at a time, as three words."""
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    for i in range(lens.top, lens.bottom):
        row, begin = inks[i], i * lens.width >> 2
        for j in range(lens.left >> 2, lens.right >> 2):
            at, first = np.uint64(4 * j), np.uint64(3 * (begin + j))
            a, b, c, d = row[at], row[at + one], row[at + two], row[at + three]
            words[first] = np.uint32(a | np.uint32(b << np.uint32(24)))
            words[first + one] = np.uint32(
                np.uint32(b >> np.uint32(8)) | np.uint32(c << np.uint32(16))
            )
            words[first + two] = np.uint32(
                np.uint32(c >> np.uint32(16)) | np.uint32(d << np.uint32(8))
            )


@kernels.inner
def _develop_bgra(inks: Ints, lens: Any, words: Ints) -> None:
    for i in range(lens.top, lens.bottom):
        begin = i * lens.width
        for j in range(lens.left, lens.right):
            word = inks[i, j]
            swapped = (word & 0xFF) << 16 | word & 0xFF00 | (word >> 16) & 0xFF
            words[np.uint64(begin + j)] = swapped | 0xFF000000


@kernels.inner
def develop(inks: Ints, lens: Any, picture: Ints) -> None:
    """Writes the bytes of every drawn ink.

    Args:
        inks: (H, W) uint32.
        lens: LENS record.
        picture: red, green, blue of each pixel, (3 * H * W,) uint8; or blue, green, red and
            255, (4 * H * W,).
    """
    width = lens.width
    if len(picture) == 4 * lens.height * width:
        _develop_bgra(inks, lens, picture.view(np.uint32))
    elif width % 4 == 0:  # then bands begin and end at whole words, too
        _develop_words(inks, lens, picture.view(np.uint32))
    else:
        for i in range(lens.top, lens.bottom):
            for j in range(lens.left, lens.right):
                word, first = inks[i, j], np.uint64(3 * (i * width + j))
                picture[first] = word
                picture[first + np.uint64(1)] = word >> 8
                picture[first + np.uint64(2)] = word >> 16
