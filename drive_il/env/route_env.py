"""`drive_il/Route-v0`: one ego on one route."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from drive_il.datatypes import Array
from drive_il.env.config import EnvConfig
from drive_il.env.drives import Drives, with_choices
from drive_il.env.judging import FLAGS, TERMS, VERDICT
from drive_il.env.view import Screen

RENDER_MODES = ["rgb_array", "human"]
_NAMES = VERDICT.names or ()


class RouteEnv(gymnasium.Env[dict[str, Any], Array]):
    """Drive a car along a route through a town.

    ## Action space

    With `action="steer_acceleration"`, the default, a `Box(-1, 1, (2,), float32)`:

    | Num | Action       | Min | Max | Unit                                                    |
    |-----|--------------|-----|-----|---------------------------------------------------------|
    | 0   | steer        | -1  | 1   | share of the largest steering angle, left positive      |
    | 1   | acceleration | -1  | 1   | above 0 throttle, below 0 brake, as shares of full pedal |

    With `action="control"`, a `Box([0, 0, -1], [1, 1, 1], (3,), float32)`:

    | Num | Action   | Min | Max | Unit                                               |
    |-----|----------|-----|-----|----------------------------------------------------|
    | 0   | throttle | 0   | 1   | share of full pedal                                |
    | 1   | brake    | 0   | 1   | share of full pedal                                |
    | 2   | steer    | -1  | 1   | share of the largest steering angle, left positive |

    An action is held for `frame_skip` steps of the world of `dt` = 0.05 s each. An action that
    is out of range or NaN is an error, not clipped (`gymnasium.wrappers.ClipAction` clips).

    ## Observation space

    A `Dict` with `speed`, `command` and what `observation` (an `ObservationSpec`) asks for; by
    default one camera of 96x64 pixels:

    | Key            | Space                    | Min   | Max   | Unit                            |
    |----------------|--------------------------|-------|-------|---------------------------------|
    | `speed`        | Box (1,) float32         | 0     | 80    | m/s                             |
    | `command`      | Discrete(7)              | 0     | 6     | number of `Command`, 0: none    |
    | rgb camera     | Box (H, W, 3) uint8      | 0     | 255   | colour                          |
    | depth camera   | Box (H, W) float32       | 0     | 1000  | m along the optical axis        |
    | semantic camera| Box (H, W) uint8         | 0     | 255   | CARLA's tag                     |
    | `range_finder` | Box (8, 32) float32      | 0     | 1     | see `RangeFinder`               |
    | `birdview`     | Box (C, H, W) uint8      | 0     | 255   | see `BirdView`                  |
    | `state`        | Box (F,) float32         | table | table | see `STATE_NAMES`               |

    The other sensors of an `ObservationSpec` have the shapes, units and names it gives them;
    one number is an array of one; integers have the bounds of their type, other numbers
    [-1e6, 1e6].

    Cameras go by the names in their `CameraSpec`. `state` holds, in the order of
    `drive_il.sensors.state.STATE_NAMES`: speed [0, 80] m/s, acceleration [-1000, 1000] m/s^2,
    yaw rate [-1000, 1000] rad/s, steering angle [-pi, pi] rad, lateral error [-1e4, 1e4] m,
    heading error [-pi, pi] rad, speed limit [0, 80] m/s, lane width [0, 100] m, the target point
    x and y in the ego's frame [-1e4, 1e4] m, and the route's curvature at some distances ahead
    in 1/m, [-1e6, 1e6]. Bounds are what can never be left, not what is usual.

    ## Reward

    The sum of the terms of `RewardConfig` (weights in brackets), 0 with `reward=None`:
    progress (+1 per metre of route reached for the first time), speeding (-1 per metre driven
    beyond what the limit allows), deviation (-0.5 per metre from the lane centre and second),
    collision (-50 at each contact's beginning), red_light (-20 each), stop_sign (-10 each).
    `info["reward_terms"]` gives each term.

    ## Start

    At `start` on a route of `routes`, standing. `reset(seed=s)` starts the sequence of routes
    and episode seeds that belongs to `s`; resets without a seed go on in it. Options of a reset,
    for its episode alone: `route` (an index, an id or a `Route`), `start` (a `Start`: place on
    the route, offsets, speed) and `traffic` (a `Traffic`).

    ## End

    Terminated when the route is completed, when the ego is `max_deviation` from its lane's
    centre (off route), and at the first contact unless `end_on_collision` is off. Truncated
    after `horizon` actions.

    ## Info

    After a reset `route` (its id) and `episode_seed`. After a step `reward_terms`,
    `route_completion` [%], and the flags `completed`, `off_route`, `collided`, `ran_red_light`,
    `ran_stop_sign` of this step.

    ## Arguments

    `config` is an `EnvConfig`; `town` and `routes` replace its own. `render_mode` is
    `"rgb_array"` (the driver's view and the ego from above, side by side) or `"human"` (the
    same in a window, after every step).

    ```python
    >>> import gymnasium
    >>> env = gymnasium.make("drive_il.env:drive_il/Route-v0", town="alder", routes="train")
    >>> seen, info = env.reset(seed=7)
    >>> seen["rgb"].shape
    (64, 96, 3)

    ```

    ## Many at once

    `gymnasium.make_vec("drive_il.env:drive_il/Route-v0", num_envs=64)` steps one world of 64
    rows: see `RouteVectorEnv`. Row i is bit for bit the single environment with seed + i.
    """

    metadata: dict[str, Any] = {"render_modes": RENDER_MODES, "render_fps": 20}

    def __init__(
        self,
        config: EnvConfig = EnvConfig(),
        *,
        town: str | None = None,
        routes: str | None = None,
        render_mode: str | None = None,
    ) -> None:
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise ValueError(
                f"render_mode must be one of {', '.join(RENDER_MODES)} or None, got {render_mode!r}"
            )
        self.config = with_choices(config, town, routes)
        self.drives = Drives(self.config, 1)
        self.observation_space = self.drives.observation_space
        self.action_space = self.drives.action_space
        self.render_mode = render_mode
        fps = 1.0 / (self.config.dt * self.config.frame_skip)
        self.metadata = {**self.metadata, "render_fps": fps}
        self._screen = Screen(self.drives, fps)
        self._row = np.zeros(1, np.int64)
        self._is_running = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Starts the next episode; see the class for seeds and options."""
        if seed is None and not self.drives.is_seeded(0):
            seed = self.config.seed
        super().reset(seed=seed)
        if seed is not None or not self.drives.is_seeded(0):
            self.drives.seed(0, self.np_random_seed)
        self.drives.begin(self._row, options)
        self._is_running = True
        if self.render_mode == "human":
            self._screen.show(0)
        spec = self.drives.specs[0]
        return self._seen(), {"route": spec.route.id, "episode_seed": spec.seed}

    def step(self, action: Array) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Drives by one action; see the class for what comes back.

        Raises:
            RuntimeError: before a reset, or after the end of the episode.
            ValueError: for an action of another shape, out of range or NaN.
        """
        if not self._is_running:
            raise RuntimeError("Cannot call step() before reset(), or after an episode's end")
        verdict = self.drives.step(np.asarray(action)[None])
        said = dict(zip(_NAMES, verdict.item(), strict=True))
        terminated, truncated = said["terminated"], said["truncated"]
        self._is_running = not (terminated or truncated)
        if self.render_mode == "human":
            self._screen.show(0)
        info: dict[str, Any] = {name: said[name] for name in FLAGS}
        info["route_completion"] = said["route_completion"]
        info["reward_terms"] = {name: said[name] for name in TERMS}
        return self._seen(), said["reward"], terminated, truncated, info

    def _seen(self) -> dict[str, Any]:
        return {name: value[0] for name, value in self.drives.observe().items()}

    def render(self) -> Array | None:
        """Returns the present as a picture, (H, W, 3) uint8; None in a window or without a mode."""
        if self.render_mode == "rgb_array":
            return self._screen.picture(0)
        if self.render_mode == "human":
            self._screen.show(0)
        return None

    def close(self) -> None:
        """Closes the window, if there is one."""
        self._screen.close()
