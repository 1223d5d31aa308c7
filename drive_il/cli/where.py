"""The flags that say where to drive: --world, --host, --port, --start."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import tyro

from drive_il.worlds import WorldChoice

Where: TypeAlias = Annotated[WorldChoice, tyro.conf.arg(name="")]
"""A WorldChoice whose fields are flags of the command itself."""
EMBEDDED = WorldChoice()
"""the default"""
