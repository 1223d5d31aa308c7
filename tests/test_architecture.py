"""Who may import whom: docs/architecture.md section 3, as code."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "drive_il"
BOTTOM = {
    "actors",
    "datatypes",
    "direction_units",
    "folders",
    "geometry",
    "kernels",
    "kernel_parts",
    "keyed_noise",
    "past",
    "pedals",
    "protocols",
    "randomness",
    "sensor_specs",
    "steering",
    "surroundings",
    "vector_layouts",
    "video",
    "waypoints",
    "weathers",
}
EVERYTHING = {"*"}
MAY_IMPORT: dict[str, set[str]] = {
    "handedness": set(),
    "maps": {"handedness"},
    "scenarios": {"maps"},
    "sensors": {"maps"},
    "experts": {"maps"},
    "gates": {"maps"},
    "sim": {"maps", "scenarios"},
    "env": {"maps", "sim", "sensors", "evaluation", "display"},
    "carla_sim": {"maps", "handedness", "scenarios", "sim", "sensors"},
    "rollout": {"rollout_labels", "rollout_log"},
    "rollout_labels": set(),
    "rollout_log": set(),
    "dataset": {"dataset_file", "dataset_batches"},
    "dataset_batches": {"dataset_file"},
    "dataset_file": set(),
    "curation": {"dataset", "dataset_file", "maps", "sensors"},
    "exchange": {"dataset", "dataset_file", "env"},
    "backbones": set(),
    "heads": set(),
    "network_inputs": set(),
    "networks": {"allocator", "backbones", "encoders", "heads", "network_inputs"},
    "training_log": {"fit"},
    "perturbation": {"fit", "maps", "rollout"},
    "cloning": {"augment", "dataset", "fit", "network_inputs", "networks"},
    "encoders": set(),
    "disturbances": set(),
    "thinning": set(),
    "allocator": set(),
    "rounds_journal": {"dataset"},
    "rounds": {
        "gates",
        "network_inputs",
        "networks",
        "rounds_journal",
        "rollout",
        "fit",
        "thinning",
    },
    "doubt": {"gates", "networks", "rollout", "fit", "rounds"},
    "ppo": {"network_inputs", "networks", "disturbances", "rollout", "fit"},
    "discriminators": {"network_inputs", "networks", "ppo", "fit"},
    "adversarial": {
        "checkpoints",
        "discriminators",
        "fit",
        "network_inputs",
        "networks",
        "ppo",
        "rollout",
        "rounds",
    },
    "checkpoints": set(),
    "policies": set(),
    "fit": {"allocator"},
    "augment": {"maps", "sensors"},
    "learners": {
        "gates",
        "dataset",
        "augment",
        "cloning",
        "heads",
        "perturbation",
        "network_inputs",
        "networks",
        "rollout",
        "fit",
        "rounds",
        "doubt",
        "disturbances",
        "adversarial",
        "checkpoints",
        "discriminators",
        "ppo",
    },
    "display": {"maps", "sensors"},
    "human": {"maps", "sensors"},
    "theory": {"maps", "rollout"},
    "evaluation": {"maps", "handedness", "rollout", "sensors", "gates", "theory"},
    "experiments": EVERYTHING,
    "sitting": EVERYTHING,
    "cli": EVERYTHING,
    "__main__": {"cli"},
    "speed": EVERYTHING,
    "warmup": EVERYTHING,
    "worlds": EVERYTHING,
    "entry": EVERYTHING,
    "entry_drives": EVERYTHING,
    "submission": EVERYTHING,
}
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_modules(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            module = node.module or ""
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def imported_rooms(tree: ast.AST) -> set[str]:
    parts = [name.split(".") for name in imported_modules(tree)]
    return {part[1] for part in parts if part[0] == "drive_il" and len(part) > 1} - {"__version__"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_imports_only_what_its_room_may(path: Path) -> None:
    room = room_of(path)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    rooms = imported_rooms(tree) - {room}
    if room in BOTTOM:
        assert rooms <= BOTTOM
        return
    assert room in MAY_IMPORT, f"the room {room} is not in the table of docs/architecture.md"
    allowed = MAY_IMPORT[room]
    if allowed != EVERYTHING:
        assert rooms <= allowed | BOTTOM, f"{path.name} may not import {rooms - allowed - BOTTOM}"


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if path.parent.name == "learners" and path.name != "__init__.py"],
    ids=lambda path: path.name,
)
def test_learners_do_not_import_each_other(path: Path) -> None:
    names = imported_modules(ast.parse(path.read_text(encoding="utf-8")))
    assert not {name for name in names if name.startswith("drive_il.learners.")}


def test_carla_and_pygame_stay_in_their_rooms() -> None:
    for path in FILES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        top = {name.split(".")[0] for name in imported_modules(tree)}
        at_module_level = {
            name.split(".")[0]
            for node in ast.iter_child_nodes(tree)
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for name in imported_modules(node)
        }
        if room_of(path) != "carla_sim" and "compat" not in path.parts:
            assert "carla" not in at_module_level, path
            if "carla" in top:
                assert path.relative_to(ROOT).parts[:1] == ("maps",)
        if room_of(path) not in ("display", "human"):
            assert "pygame" not in top, path


@pytest.mark.parametrize(
    "module",
    ["drive_il.sim", "drive_il.rollout", "drive_il.sensors.observer", "drive_il.env.vector_env"],
)
def test_the_world_loads_neither_torch_nor_pygame_nor_carla(module: str) -> None:
    code = (
        f"import sys, {module}; "
        "print([name for name in ('torch', 'pygame', 'carla') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_agents_side_imports_nothing_of_ours() -> None:
    allowed = {"agents", "carla", "drive_il_agent", "leaderboard", "numpy", "srunner"}
    for path in (ROOT / "evaluation" / "compat").rglob("*.py"):
        top = {name.split(".")[0] for name in imported_modules(ast.parse(path.read_text("utf-8")))}
        assert top <= allowed | sys.stdlib_module_names, path


def test_no_module_imports_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    names = {".".join(("drive_il", *p.relative_to(ROOT).with_suffix("").parts)): p for p in FILES}
    names = {name.removesuffix(".__init__"): path for name, path in names.items()}
    for name, path in names.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        level = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
        wanted = {target for node in level for target in imported_modules(node)}
        graph[name] = {
            other
            for other in names
            for target in wanted
            if other != name
            and (target == other or target.startswith(other + "."))
            and not name.startswith(other + ".")
        }
    state: dict[str, int] = {}

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert state.get(name) != 1, f"import circle: {' -> '.join((*trail, name))}"
        if name not in state:
            state[name] = 1
            for other in graph[name]:
                visit(other, (*trail, name))
            state[name] = 2

    for name in graph:
        visit(name, ())
