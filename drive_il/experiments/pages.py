"""What every experiment's page is made of: templates, figures as files, pictures inside."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import jinja2
from matplotlib import rc_context
from matplotlib.figure import Figure

from drive_il.folders import write_whole

_TEMPLATES = Path(__file__).parent / "templates"


def write_page(path: Path, template: str, **values: Any) -> Path:
    """Renders a template of this package into one self-contained file; returns its path."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    write_whole(path, environment.get_template(template).render(**values).encode())
    return path


def save_figure(figure: Figure, folder: Path, name: str) -> None:
    """Writes NAME.png and NAME.svg; the same numbers give the same bytes."""
    for kind in ("png", "svg"):
        temporary = folder / f"{name}.{kind}.tmp"
        # No date in the file and no random names.
        metadata = {"Date": None} if kind == "svg" else None
        with rc_context({"svg.hashsalt": "drive_il"}):
            figure.savefig(temporary, format=kind, metadata=metadata)
        temporary.replace(folder / f"{name}.{kind}")


def inline(path: Path) -> str:
    """Returns a PNG as what stands in an <img>'s src."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
