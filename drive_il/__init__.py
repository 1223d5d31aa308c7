"""drive_il: imitation learning for driving, on real road networks, with bounds.

Importing the package loads nothing heavy; import the room you need, for example
``from drive_il import sim, rollout``. `docs/architecture.md` says who may import whom.
"""

__version__ = "0.1.0"
