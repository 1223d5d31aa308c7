"""The embedded simulator."""

from drive_il.sim.world import Snapshot, World

__all__ = ["Snapshot", "World"]
