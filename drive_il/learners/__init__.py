"""Imitation learners: one paper, one file; and trained policies on disk.

A model folder holds `model.safetensors` (weights), `config.json` (learner, network,
sensors, versions) and `card.json` (where it comes from: labels, seed, training config,
scores). Loading gives the same bits. Importing this loads no torch.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import drive_il
from drive_il.protocols import Policy
from drive_il.sensor_specs import (
    CameraSpec,
    GnssSpec,
    ImuSpec,
    LidarSpec,
    ObservationSpec,
    RadarSpec,
    VectorSpec,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

FORMAT = 1
WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "card.json"
STEER_ONLY = ("alvinn", "alvinn_1991")
"""learners without pedals: whoever drives with them takes those from the expert's speed law"""


class TrainedPolicy(Policy, Protocol):
    """A policy that can be saved."""

    @property
    def network(self) -> nn.Module:
        """Its weights."""
        ...

    @property
    def spec(self) -> ObservationSpec:
        """The sensors it was trained with."""
        ...

    @property
    def card(self) -> Mapping[str, Any]:
        """Where it comes from."""
        ...


def save(
    policy: TrainedPolicy, folder: str | Path, scores: Mapping[str, Any] | None = None
) -> None:
    """Writes a model folder; each file is whole or absent.

    Args:
        policy: as a learner's `train` returned it.
        folder: made when needed; files of an older model there are replaced.
        scores: evaluation results for the card.
    """
    from safetensors.torch import save as to_bytes

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "format": FORMAT,
        "learner": policy.card.get("learner"),
        **_kind_of(policy).describe(policy),
        "observation": asdict(policy.spec),
        "versions": _versions(),
    }
    weights = {name: value.contiguous() for name, value in policy.network.state_dict().items()}
    card = dict(policy.card) | ({"scores": dict(scores)} if scores else {})
    _write(folder / WEIGHTS, to_bytes(weights))
    _write(folder / CARD, json.dumps(card, indent=2).encode())
    _write(folder / CONFIG, json.dumps(config, indent=2).encode())


def add_scores(folder: str | Path, suite: str, scores: Mapping[str, Any]) -> None:
    """Writes how a model drove into its card, under `scores`.

    Args:
        folder: of the model.
        suite: what it drove; scores of the same name are replaced.
        scores: as JSON.

    Raises:
        ValueError: the folder is no model folder, or its card is damaged.
    """
    path = Path(folder) / CARD
    card = _read_json(path)
    known = card.get("scores", {})
    card["scores"] = (known if isinstance(known, dict) else {}) | {suite: dict(scores)}
    _write(path, json.dumps(card, indent=2).encode())


def read_words(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns config and card of a model folder, which takes no time; weights are not looked at.

    Raises:
        ValueError: as `load`.
    """
    config = _read_json(folder / CONFIG)
    if config.get("format") != FORMAT:
        raise ValueError(
            f"{folder / CONFIG} has model format {config.get('format')!r}, this version of "
            f"drive_il reads format {FORMAT}; train the model again or use another version"
        )
    return config, _read_json(folder / CARD)


def load(folder: str | Path) -> TrainedPolicy:
    """Reads a model folder.

    Raises:
        ValueError: the folder is no model folder, is damaged, or was written by a newer
            version; the message names the file.
    """
    from safetensors.torch import load as from_bytes

    folder = Path(folder)
    config, card = read_words(folder)
    kind = _kinds().get(config.get("policy", ""))
    if kind is None:
        raise ValueError(
            f"{folder / CONFIG} names the policy {config.get('policy')!r}; known are "
            f"{', '.join(_kinds())}"
        )
    path = folder / WEIGHTS
    try:
        weights = from_bytes(path.read_bytes())
    except FileNotFoundError:
        raise ValueError(f"{folder} holds no {WEIGHTS}; the model is incomplete") from None
    except Exception as error:  # safetensors has its own error class for damaged files
        raise ValueError(f"{path} is damaged ({error}); copy or train the model again") from error
    try:
        return kind.build(config, weights, card)
    except (KeyError, TypeError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"{folder} is damaged: weights and {CONFIG} do not agree ({error})"
        ) from error


@dataclass(frozen=True)
class _Kind:
    """How one kind of policy is described in config.json and built again."""

    describe: Callable[[Any], dict[str, Any]]
    build: Callable[[dict[str, Any], dict[str, Tensor], dict[str, Any]], TrainedPolicy]


def _kinds() -> dict[str, _Kind]:
    return {
        "driving": _Kind(
            lambda policy: {"policy": "driving", "network": asdict(policy.config)}, _driving
        ),
        "alvinn": _Kind(
            lambda policy: {"policy": "alvinn", "max_curvature": policy.max_curvature}, _alvinn
        ),
        "alvinn_1991": _Kind(
            lambda policy: {"policy": "alvinn_1991", "max_curvature": policy.max_curvature},
            _alvinn_1991,
        ),
        "soft_q": _Kind(
            lambda policy: {"policy": "soft_q", "config": asdict(policy.config)}, _soft_q
        ),
    }


def _kind_of(policy: TrainedPolicy) -> _Kind:
    from drive_il.learners.alvinn import AlvinnPolicy
    from drive_il.learners.alvinn_1991 import OnTheFlyPolicy
    from drive_il.learners.sqil import SoftQPolicy
    from drive_il.networks import DrivingPolicy

    for cls, name in (
        (DrivingPolicy, "driving"),
        (AlvinnPolicy, "alvinn"),
        (OnTheFlyPolicy, "alvinn_1991"),
        (SoftQPolicy, "soft_q"),
    ):
        if isinstance(policy, cls):
            return _kinds()[name]
    raise ValueError(f"only trained policies can be saved, got a {type(policy).__name__}")


def _driving(
    config: dict[str, Any], weights: dict[str, Tensor], card: dict[str, Any]
) -> TrainedPolicy:
    from drive_il.networks import DrivingPolicy, driving_network

    network_config = _network_config(config["network"])
    spec = _observation(config["observation"])
    network = driving_network(network_config, spec, 0)
    network.load_state_dict(weights)
    return DrivingPolicy(network, network_config, spec, card)


def _alvinn(
    config: dict[str, Any], weights: dict[str, Tensor], card: dict[str, Any]
) -> TrainedPolicy:
    from drive_il.learners.alvinn import Alvinn, AlvinnPolicy

    network = Alvinn(0)
    network.load_state_dict(weights)
    return AlvinnPolicy(
        network.eval(), config["max_curvature"], _observation(config["observation"]), card
    )


def _alvinn_1991(
    config: dict[str, Any], weights: dict[str, Tensor], card: dict[str, Any]
) -> TrainedPolicy:
    from drive_il.learners.alvinn_1991 import OnTheFly, OnTheFlyPolicy

    network = OnTheFly(0)
    network.load_state_dict(weights)
    return OnTheFlyPolicy(
        network.eval(), config["max_curvature"], _observation(config["observation"]), card
    )


def _soft_q(
    config: dict[str, Any], weights: dict[str, Tensor], card: dict[str, Any]
) -> TrainedPolicy:
    from drive_il.learners.sqil import Config, SoftQPolicy
    from drive_il.networks import DrivingNetwork

    network_config = _network_config(config["config"]["network"])
    how = Config(**_with_tuples(config["config"] | {"network": network_config}))
    spec = _observation(config["observation"])
    network = DrivingNetwork(network_config, spec, len(how.grid))
    network.load_state_dict(weights)
    return SoftQPolicy(network.eval(), how, spec, card)


def _network_config(values: dict[str, Any]) -> Any:
    """Returns a NetworkConfig from its fields as a model folder keeps them."""
    from drive_il.heads import HeadConfig
    from drive_il.networks import NetworkConfig
    from drive_il.waypoints import TrackerConfig

    fields = _with_tuples(values)
    if "head" in fields:  # older models are regressions
        head = dict(fields["head"])
        fields["head"] = HeadConfig(**head | {"tracker": TrackerConfig(**head["tracker"])})
    return NetworkConfig(**fields)


def _with_tuples(values: dict[str, Any]) -> dict[str, Any]:
    """Returns the fields of a config as they were before JSON made lists of its tuples."""
    return {name: tuple(one) if isinstance(one, list) else one for name, one in values.items()}


def _observation(values: dict[str, Any]) -> ObservationSpec:
    several = {"cameras": CameraSpec, "lidars": LidarSpec, "radars": RadarSpec}
    single = {"gnss": GnssSpec, "imu": ImuSpec, "vectors": VectorSpec}
    specs: dict[str, Any] = {
        key: tuple(kind(**each) for each in values[key])
        for key, kind in several.items()
        if key in values
    }
    specs |= {key: kind(**values[key]) for key, kind in single.items() if values.get(key)}
    return ObservationSpec(**values | specs)


def _versions() -> dict[str, str]:
    names = ("torch", "torchvision", "numpy")
    return {
        "drive_il": drive_il.__version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in names},
    }


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(
            f"{path.parent} is no model folder: {path.name} is missing; "
            "`drive-il train` makes model folders"
        ) from None
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged ({error}); copy or train the model again") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} is damaged: expected a JSON object")
    return content


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
