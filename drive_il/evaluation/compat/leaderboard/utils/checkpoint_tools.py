"""JSON files, by the names that agents import."""

from __future__ import annotations

import json
from typing import Any

from drive_il_agent.absent import way_out


def fetch_dict(endpoint: str) -> Any:
    """Returns what a JSON file holds, None where it is none."""
    try:
        with open(endpoint, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


def save_dict(endpoint: str, data: Any) -> None:
    """Writes a JSON file."""
    with open(endpoint, "w", encoding="utf-8") as file:
        json.dump(data, file, indent=4, sort_keys=True)


def __getattr__(name: str) -> Any:
    raise way_out(__name__, name)
