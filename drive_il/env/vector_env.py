"""`drive_il/Route-v0` n times over, on one world of n rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from drive_il.datatypes import Array, Bools, Ints, Observation, Records
from drive_il.env.config import EnvConfig
from drive_il.env.drives import Drives, with_choices
from drive_il.env.judging import FLAGS, TERMS
from drive_il.env.view import Screen

_SEEDS_BELOW = 2**31
_NONE = np.zeros(0, np.int64)
_RESULT = ("reward", "terminated", "truncated")


class RouteVectorEnv(VectorEnv[Observation, Array, Array]):
    """Many `RouteEnv`s, stepped together as the rows of one world.

    Spaces, reward, ends, options and info are those of `RouteEnv`, batched as Gymnasium batches
    them: sub-environment i after `reset(seed=s)` is bit for bit a `RouteEnv` after
    `reset(seed=s + i)`, whatever the others do.

    `autoreset_mode` says when a finished sub-environment starts its next episode: at the next
    step, whose action for it is not looked at (the default); in the same step, where
    `infos["final_obs"]` and `infos["final_info"]` hold how the old one ended; or when
    `reset(options={"reset_mask": mask})` is called ("Disabled").

    Args:
        num_envs: n.
        config: as of `RouteEnv`; `seed` counts up with the sub-environments.
        town: replaces the config's.
        routes: replaces the config's.
        render_mode: "rgb_array" or None; `render` gives one picture per sub-environment.
        autoreset_mode: "NextStep", "SameStep", "Disabled" or an AutoresetMode.

    Raises:
        ValueError: for no sub-environments, or a mode there is not.
    """

    metadata: dict[str, Any] = {
        "render_modes": ["rgb_array"],
        "render_fps": 20,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        config: EnvConfig = EnvConfig(),
        *,
        town: str | None = None,
        routes: str | None = None,
        render_mode: str | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs must be at least 1, got {num_envs}")
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f'render_mode must be "rgb_array" or None, got {render_mode!r}')
        self.num_envs = num_envs
        self.config = with_choices(config, town, routes)
        self.render_mode = render_mode
        self._mode = AutoresetMode(autoreset_mode)
        fps = 1.0 / (self.config.dt * self.config.frame_skip)
        self.metadata = {**self.metadata, "render_fps": fps, "autoreset_mode": self._mode}
        self.drives = Drives(self.config, num_envs)
        self.single_observation_space = self.drives.observation_space
        self.single_action_space = self.drives.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._screen = Screen(self.drives, fps)
        self._is_over: Bools = np.zeros(num_envs, np.bool_)
        self._any_over = False
        self._has_begun = False

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts the next episode of every sub-environment, or of those in a mask.

        Args:
            seed: sub-environment i is seeded with seed + i, or with the i-th of a sequence; None
                goes on with the episodes of the last seed.
            options: as of `RouteEnv.reset`, for all; and `reset_mask`, (n,) bool: which.

        Raises:
            ValueError: for another number of seeds, a bad mask, or options there are not.
        """
        options = dict(options or {})
        mask = self._checked_mask(options.pop("reset_mask", None))
        rows = np.flatnonzero(mask)
        self._seed(rows, seed)
        self.drives.begin(rows, options)
        self._is_over[rows] = False
        self._any_over = bool(self._is_over.any())
        self._has_begun = True
        infos: dict[str, Any] = {}
        self._add_reset(infos, rows)
        return self.drives.observe(), infos

    def _checked_mask(self, mask: object) -> Bools:
        if mask is None:
            return np.ones(self.num_envs, np.bool_)
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
            raise ValueError(f"options['reset_mask'] must be a bool array, got {mask!r}")
        if mask.shape != (self.num_envs,) or not mask.any():
            raise ValueError(
                f"options['reset_mask'] must be ({self.num_envs},) with a True in it, got {mask!r}"
            )
        if not self._has_begun and not mask.all():
            raise ValueError("options['reset_mask']: the first reset must be of all")
        return mask

    def _seed(self, rows: Ints, seed: int | Sequence[int | None] | None) -> None:
        """Seeds these rows: as told, else those that never were."""
        if isinstance(seed, (int, np.integer)):
            super().reset(seed=int(seed))
            seeds: Sequence[int | None] = [int(seed) + i for i in range(self.num_envs)]
        else:
            seeds = [None] * self.num_envs if seed is None else list(seed)
        if len(seeds) != self.num_envs:
            raise ValueError(f"seed must hold {self.num_envs} seeds, got {len(seeds)}")
        for row in rows.tolist():
            given = seeds[row]
            if given is None and not self.drives.is_seeded(row):
                own = self.config.seed
                drawn = int(self.np_random.integers(_SEEDS_BELOW)) if own is None else own + row
                self.drives.seed(row, drawn)
            elif given is not None:
                if given < 0:
                    raise ValueError(f"seeds must not be negative, got {given}")
                self.drives.seed(row, given)

    def step(self, actions: Array) -> tuple[Observation, Array, Bools, Bools, dict[str, Any]]:
        """Drives every sub-environment by one action.

        Returns:
            Observations, rewards (n,) float64, terminated (n,), truncated (n,), and infos in
            Gymnasium's vector form: an array for every key of the single info, with `_key` (n,)
            saying where it holds.

        Raises:
            RuntimeError: before a reset, or where an episode is over and resets are "Disabled".
            ValueError: for actions of another shape, out of range or NaN.
        """
        if not self._has_begun:
            raise RuntimeError("Cannot call step() before reset()")
        waiting = np.flatnonzero(self._is_over) if self._any_over else _NONE
        if len(waiting) and self._mode == AutoresetMode.DISABLED:
            raise RuntimeError(
                f"sub-environment {int(waiting[0])} is over; call "
                "reset(options={'reset_mask': mask}) before step()"
            )
        verdict = self.drives.step(actions, waiting)
        infos: dict[str, Any] = {}
        stepped = np.ones(self.num_envs, np.bool_)
        if len(waiting):
            verdict[waiting] = np.zeros((), verdict.dtype)  # it is a reset that they do
            stepped[waiting] = False
            self._begin_next(waiting, infos)
        rewards, terminated, truncated = (verdict[name].copy() for name in _RESULT)
        self._is_over = terminated | truncated
        self._any_over = bool(self._is_over.any())
        if self._any_over and self._mode == AutoresetMode.SAME_STEP:
            self._end_here(infos, verdict, stepped)
        _add_step(infos, verdict, stepped)
        return self.drives.observe(), rewards, terminated, truncated, infos

    def _end_here(self, infos: dict[str, Any], verdict: Records, stepped: Bools) -> None:
        """Says how episodes ended and starts the next ones, all in this step."""
        over = self._is_over
        rows = np.flatnonzero(over)
        seen = self.drives.observe(rows)
        final_obs = np.full(self.num_envs, None, dtype=object)
        for i, row in enumerate(rows.tolist()):
            final_obs[row] = {name: value[i] for name, value in seen.items()}
        final_info: dict[str, Any] = {}
        _add_step(final_info, verdict, over)
        infos["final_obs"], infos["_final_obs"] = final_obs, over.copy()
        infos["final_info"], infos["_final_info"] = final_info, over.copy()
        self._begin_next(rows, infos)
        stepped[rows] = False
        self._is_over, self._any_over = np.zeros_like(over), False

    def _begin_next(self, rows: Ints, infos: dict[str, Any]) -> None:
        self.drives.begin(rows)
        self._add_reset(infos, rows)

    def _add_reset(self, infos: dict[str, Any], rows: Ints) -> None:
        """Adds what a reset says of these rows."""
        routes = np.full(self.num_envs, None, dtype=object)
        seeds, mask = np.zeros(self.num_envs, np.int64), np.zeros(self.num_envs, np.bool_)
        for row in rows.tolist():
            spec = self.drives.specs[row]
            routes[row], seeds[row] = spec.route.id, spec.seed
        mask[rows] = True
        infos["route"], infos["_route"] = routes, mask
        infos["episode_seed"], infos["_episode_seed"] = seeds, mask.copy()

    def render(self) -> tuple[Array, ...] | None:
        """Returns one picture per sub-environment, (H, W, 3) uint8; None without a mode."""
        if self.render_mode is None:
            return None
        return tuple(self._screen.picture(row) for row in range(self.num_envs))


def _add_step(infos: dict[str, Any], verdict: Records, mask: Bools) -> None:
    """Adds what a step came to in the rows of the mask, zeros elsewhere; nothing for no rows."""
    n_rows = int(np.count_nonzero(mask))
    if n_rows == 0:
        return
    if n_rows < len(mask):
        verdict = np.where(mask, verdict, np.zeros((), verdict.dtype))
    terms: dict[str, Any] = {}
    for name in TERMS:
        terms[name], terms[f"_{name}"] = verdict[name], mask
    for name in (*FLAGS, "route_completion"):
        infos[name], infos[f"_{name}"] = verdict[name], mask
    infos["reward_terms"], infos["_reward_terms"] = terms, mask
