"""Prepares the shipped towns: `python -m drive_il.maps.build_data`.

Writes each town's OpenDRIVE text (from `towns`) and, through the carla wheel, its arrays,
so that a user needs no wheel.
"""

from __future__ import annotations

import gzip

from drive_il.maps import opendrive, store, towns


def main() -> None:
    """Generates all shipped towns and prepares their arrays."""
    for path in towns.ship():
        name = path.name.removesuffix(".xodr.gz")
        text = gzip.decompress(path.read_bytes()).decode()
        arrays = path.with_name(f"{name}.npz")
        store.save(opendrive.build(text, name, name), arrays)
        print(f"{arrays.name}: {arrays.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
