"""The flag that says how many processes work: --workers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import tyro


@dataclass(frozen=True)
class Processes:
    """How many processes work side by side."""

    workers: int = 0
    """processes; 0 takes one per core. Changes the speed, never the result"""

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise ValueError(
                f"workers must be a number of processes, or 0 for one per core, got {self.workers}"
            )

    @property
    def number(self) -> int:
        """How many, at least 1."""
        return self.workers or os.cpu_count() or 1


Workers: TypeAlias = Annotated[Processes, tyro.conf.arg(name="")]
"""Processes whose field is a flag of the command itself"""
ONE_PER_CORE = Processes()
"""the default"""
