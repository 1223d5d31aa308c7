"""Calls about actors of any kind: spawn, destroy, place, push; and about traffic lights."""

from __future__ import annotations

from typing import Any

from drive_il import handedness
from drive_il.actors import LightState, Mover
from drive_il.carla_sim.server.actors import Actor, box_on_wire
from drive_il.carla_sim.server.frames import (
    Transform,
    numbers,
    pose_of,
    transform_from_wire,
    transform_to_wire,
)
from drive_il.carla_sim.server.host import Host
from drive_il.carla_sim.server.light_cycle import GREEN, RED, YELLOW
from drive_il.carla_sim.server.signals import light_groups

_EMPTY_BOX = [[0.0] * 3, [0.0] * 3, [0.0] * 3, 0]


class ActorCalls:
    """See the module; a method's name is the call's."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def get_actors_by_id(self, ids: list[int]) -> Any:
        """Those that there are."""
        actors = self._host.episode.actors
        return [self._wire(actors[id]) for id in ids if id in actors]

    def spawn_actor(self, description: Any, transform: Any) -> Any:
        """Adds an actor."""
        return self._wire(self._host.episode.spawn(description, transform_from_wire(transform)))

    def spawn_actor_with_parent(
        self, description: Any, transform: Any, parent: int, attachment: int, bone: str = ""
    ) -> Any:
        """Adds an actor that hangs on another, rigidly whatever the attachment."""
        at = transform_from_wire(transform)
        return self._wire(self._host.episode.spawn(description, at, parent))

    def destroy_actor(self, id: int) -> Any:
        """Removes an actor; False when there is none."""
        if id not in self._host.episode.actors:
            return False
        self._host.ended_streams += self._host.episode.destroy(id)
        return True

    def set_actor_transform(self, id: int, transform: Any) -> None:
        """Puts an actor somewhere."""
        episode = self._host.episode
        episode.move(episode.find(id), transform_from_wire(transform))

    def set_actor_location(self, id: int, location: Any) -> None:
        """Puts an actor somewhere as it stands."""
        episode = self._host.episode
        actor = episode.find(id)
        x, y, z = numbers(location, 3, "a location")
        old = actor.transform if actor.parent else episode.transform_of(actor)
        at: Transform = (x, y, z, old[3], old[4], old[5])
        episode.move(actor, at)

    def set_actor_target_velocity(self, id: int, velocity: Any) -> None:
        """Sets a vehicle's velocity along its axis; people and props keep theirs."""
        x, y = self._plane(velocity, "a velocity")
        actor = self._moving(id)
        if actor.kind == "vehicle":
            self._host.episode.world.set_velocity(id, x, y)

    def set_actor_target_angular_velocity(self, id: int, velocity: Any) -> None:
        """Accepted; a vehicle turns as its wheels say."""
        numbers(velocity, 3, "an angular velocity")
        self._moving(id)

    def add_actor_impulse(self, id: int, impulse: Any) -> None:
        """Pushes a vehicle along its axis [N s]."""
        x, y = self._plane(impulse, "an impulse")
        if self._moving(id).kind == "vehicle":
            self._host.episode.world.push(id, x, y)

    def add_actor_force(self, id: int, force: Any) -> None:
        """Pushes a vehicle along its axis for one tick [N]."""
        x, y = self._plane(force, "a force")
        dt = self._host.settings.dt
        if self._moving(id).kind == "vehicle":
            self._host.episode.world.push(id, x * dt, y * dt)

    def enable_actor_constant_velocity(self, id: int, velocity: Any) -> None:
        """Keeps a vehicle's speed along its axis, whatever its pedals say [m/s]."""
        forward, _, _ = numbers(velocity, 3, "a velocity")
        world = self._host.episode.world
        slot = world.slot_of(self._vehicle(id).id)
        world.orders["held"][slot], world.orders["pace"][slot] = True, forward

    def disable_actor_constant_velocity(self, id: int) -> None:
        """Hands the pedals back."""
        world = self._host.episode.world
        world.orders["held"][world.slot_of(self._vehicle(id).id)] = False

    def set_actor_simulate_physics(self, id: int, on: bool) -> None:
        """Without physics a vehicle stays where it is put."""
        episode = self._host.episode
        actor = episode.find(id)
        episode.touched = True
        if actor.kind == "vehicle":
            actor.has_physics = bool(on)
            pose = pose_of(episode.transform_of(actor))
            episode.world.place(id, pose, Mover.CONTROL if on else Mover.NOBODY)

    def set_actor_enable_gravity(self, id: int, on: bool) -> None:
        """Accepted: whoever is on the road stays on it."""
        self._host.episode.find(id)

    def set_actor_collisions(self, id: int, on: bool) -> None:
        """Accepted: bodies stay bodies."""
        self._host.episode.find(id)

    def set_actor_dead(self, id: int) -> None:
        """Accepted: nobody dies."""
        self._host.episode.find(id)

    def get_actor_bounding_box(self, id: int) -> Any:
        """An actor's box; an empty one for who is gone.

        A Traffic Manager asks for cars that have just been destroyed, and an error would end
        its client's process.
        """
        actor = self._host.episode.actors.get(id)
        return box_on_wire(actor.box, id) if actor else _EMPTY_BOX

    def get_actor_component_world_transform(self, id: int, name: str) -> Any:
        """Where an actor is: nothing here has parts."""
        episode = self._host.episode
        return transform_to_wire(episode.transform_of(episode.find(id)))

    def set_traffic_light_state(self, id: int, state: int) -> None:
        """Sets a light until its cycle comes to the next state."""
        self._host.episode.touched = True
        self._host.episode.world.set_signal(self._light(id).signal, LightState(state))

    def set_traffic_light_green_time(self, id: int, seconds: float) -> None:
        """Of its whole phase [s]."""
        self._set_time(id, GREEN, seconds)

    def set_traffic_light_yellow_time(self, id: int, seconds: float) -> None:
        """Of its whole phase [s]."""
        self._set_time(id, YELLOW, seconds)

    def set_traffic_light_red_time(self, id: int, seconds: float) -> None:
        """In which all are red after its phase [s]."""
        self._set_time(id, RED, seconds)

    def freeze_traffic_light(self, id: int, frozen: bool) -> None:
        """Stops the cycle of its junction, or lets it go on."""
        junction, _ = self._group(id)
        self._host.episode.touched = True
        self._host.episode.world.cycles["frozen"][junction] = bool(frozen)

    def freeze_all_traffic_lights(self, frozen: bool) -> None:
        """Stops all cycles, or lets them go on."""
        self._host.episode.touched = True
        self._host.episode.world.cycles["frozen"][:] = bool(frozen)

    def reset_traffic_light_group(self, id: int) -> None:
        """Begins the cycle of its junction afresh."""
        junction, _ = self._group(id)
        self._host.episode.touched = True
        self._host.episode.world.begin_cycles([junction])

    def reset_all_traffic_lights(self) -> None:
        """Begins all cycles afresh."""
        world = self._host.episode.world
        self._host.episode.touched = True
        world.begin_cycles(list(range(len(world.cycles))))

    def get_group_traffic_lights(self, id: int) -> Any:
        """Ids of all lights of its junction."""
        _, signals = self._group(id)
        ids = {one.signal: one.id for one in self._host.episode.actors.values() if one.signal >= 0}
        return [ids[signal] for signal in signals if signal in ids]

    def get_light_boxes(self, id: int) -> Any:
        """Boxes of its heads: none are told."""
        self._light(id)
        return []

    def _wire(self, actor: Actor) -> list[Any]:
        return actor.on_wire(self._host.options.port + 1)

    def _plane(self, sent: Any, what: str) -> tuple[float, float]:
        x, y, _ = numbers(sent, 3, what)
        return x, handedness.y_from_carla(y)

    def _moving(self, id: int) -> Actor:
        actor = self._host.episode.find(id)
        if actor.kind not in ("vehicle", "walker", "static"):
            raise ValueError(f"actor {id}, {actor.type_id}, does not move")
        self._host.episode.touched = True
        return actor

    def _vehicle(self, id: int) -> Actor:
        actor = self._moving(id)
        if actor.kind != "vehicle":
            raise ValueError(f"actor {id}, {actor.type_id}, is no vehicle")
        return actor

    def _light(self, id: int) -> Actor:
        actor = self._host.episode.find(id)
        if actor.type_id != "traffic.traffic_light":
            raise ValueError(f"actor {id}, {actor.type_id}, is no traffic light")
        return actor

    def _group(self, id: int) -> tuple[int, list[int]]:
        return light_groups(self._host.episode.network)[self._light(id).signal]

    def _set_time(self, id: int, column: int, seconds: float) -> None:
        if not 0.0 <= seconds <= 1e6:
            raise ValueError(f"a light's time must be in [0, 1e6] s, got {seconds}")
        signal = self._light(id).signal
        self._host.episode.touched = True
        world = self._host.episode.world
        world.light_times[world.phase_of(signal), column] = seconds
