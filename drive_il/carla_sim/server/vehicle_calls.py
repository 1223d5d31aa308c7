"""Calls about vehicles and walkers: control, physics, lamps, telemetry."""

from __future__ import annotations

import math
from typing import Any

from drive_il import handedness
from drive_il.actors import Mover
from drive_il.carla_sim.server.ackermann import SETTINGS, Ackermann, Target
from drive_il.carla_sim.server.actors import Actor
from drive_il.carla_sim.server.frames import numbers, placed
from drive_il.carla_sim.server.host import Host
from drive_il.carla_sim.server.skeleton import bones_on_wire
from drive_il.sim.models import MODELS
from drive_il.steering import STEER_GAIN

_GEARS = ((4.59, 0.5, 0.65), (2.99, 0.5, 0.65), (1.54, 0.5, 0.65), (1.0, 0.5, 0.65))
_WHEEL = (3.5, 0.25, math.degrees(STEER_GAIN), 35.0, 1500.0, 3000.0, 2.0, 17.0, 1000.0)
_LAMPS = 0x7FF
_TO_CENTIMETRES = 100.0
_N_PHYSICS, _N_CONTROL = 17, 7


class VehicleCalls:
    """See the module; a method's name is the call's."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def apply_control_to_vehicle(self, id: int, control: Any) -> None:
        """Drives a vehicle so until told otherwise; values out of range count as the nearest."""
        if not isinstance(control, list) or len(control) != _N_CONTROL:
            raise ValueError(f"a vehicle control has {_N_CONTROL} members, got {control!r:.80}")
        throttle, steer, brake = numbers(control[:3], 3, "throttle, steer and brake")
        hand_brake, reverse, _, gear = control[3:]
        world = self._host.episode.world
        slot = self._slot(id)
        self._host.episode.touched = True
        if world.vehicles["mover"][slot] == Mover.TRAFFIC:
            world.set_mover(0, id, Mover.CONTROL)
        own = world.controls[slot]
        own["throttle"], own["brake"] = min(max(throttle, 0.0), 1.0), min(max(brake, 0.0), 1.0)
        own["steer"] = handedness.steer_from_carla(min(max(steer, -1.0), 1.0))
        order = world.orders[slot]
        order["hand_brake"], order["reverse"] = bool(hand_brake), bool(reverse) or gear < 0
        if id in self._host.episode.ackermann:
            self._host.episode.ackermann[id].target = None

    def apply_ackermann_control_to_vehicle(self, id: int, control: Any) -> None:
        """Has a vehicle keep a wheel angle and a speed until told otherwise."""
        target = Target(*numbers(control, len(Target._fields), "an Ackermann control"))
        world = self._host.episode.world
        slot = self._slot(id)
        self._host.episode.touched = True
        if world.vehicles["mover"][slot] == Mover.TRAFFIC:
            world.set_mover(0, id, Mover.CONTROL)
        limits = (abs(target.steer_speed), target.speed, abs(target.acceleration))
        self._ackermann(id).begin(Target(target.steer, *limits, abs(target.jerk)))

    def apply_ackermann_controller_settings(self, id: int, settings: Any) -> None:
        """Sets the gains of a vehicle's Ackermann controller."""
        self._vehicle(id)
        gains = numbers(settings, len(SETTINGS), "Ackermann controller settings")
        self._ackermann(id).settings = tuple(gains)

    def get_ackermann_controller_settings(self, id: int) -> Any:
        """Gains of a vehicle's Ackermann controller."""
        self._vehicle(id)
        return list(self._ackermann(id).settings)

    def set_actor_autopilot(self, id: int, on: bool) -> None:
        """Accepted: an autopilot is the client's own Traffic Manager, which sends controls."""
        self._slot(id)

    def apply_control_to_walker(self, id: int, control: Any) -> None:
        """Lets a walker go straight on so until told otherwise; nobody jumps."""
        direction, speed, _ = control
        x, y, _ = numbers(direction, 3, "a direction")
        world = self._host.episode.world
        slot = world.walker_slot_of(self._host.episode.find(id).id)
        self._host.episode.touched = True
        self._host.episode.led.pop(id, None)
        heading = float(world.walkers["heading"][slot])
        if x or y:
            heading = math.atan2(handedness.y_from_carla(y), x)
        world.set_walker(0, id, heading, min(max(float(speed), 0.0), 10.0))

    def get_bones_transform(self, id: int) -> Any:
        """Where a walker's bones are: of one who stands, whatever it does."""
        episode = self._host.episode
        actor = episode.find(id)
        height = 2.0 * actor.box[1][2]
        if actor.kind != "walker":
            raise ValueError(f"actor {id}, {actor.type_id}, is no walker and has no bones")
        return [bones_on_wire(episode.transform_of(actor), height)]

    def blend_pose(self, id: int, blend: float) -> None:
        """Accepted: there is one pose."""
        self._host.episode.find(id)

    def get_pose_from_animation(self, id: int) -> None:
        """Accepted: there is one pose."""
        self._host.episode.find(id)

    def get_physics_control(self, id: int) -> Any:
        """What a client told, or what describes the world's law of motion best."""
        actor = self._vehicle(id)
        if actor.physics is not None:
            return actor.physics
        episode = self._host.episode
        one = episode.world.vehicles[self._slot(id)]
        wheels = []
        transform = episode.transform_of(actor)
        rear, half = float(one["rear_wheelbase"]), 0.42 * float(one["width"])
        for ahead in (rear, -rear):
            for side in (-half, half):
                x, y, z = placed((ahead, side, 0.35), transform)
                centimetres = [_TO_CENTIMETRES * part for part in (x, y, z)]
                limits = _WHEEL if ahead > 0 else (*_WHEEL[:2], 0.0, *_WHEEL[3:])
                wheels.append([*limits, centimetres])
        mass = float(MODELS["mass"][int(one["kind"])])
        return [
            *([[0.0, 500.0], [5000.0, 500.0]], 5800.0, 1.0, 0.15, 2.0, 0.35, True, 0.5, 10.0, 4.0),
            *([list(gear) for gear in _GEARS], mass, 0.3, [0.0, 0.0, -0.3]),
            *([[0.0, 1.0], [120.0, 1.0]], wheels, False),
        ]

    def apply_physics_control(self, id: int, sent: Any) -> None:
        """Keeps it and gives it back; the law of motion stays."""
        if not isinstance(sent, list) or len(sent) != _N_PHYSICS:
            raise ValueError(f"a physics control has {_N_PHYSICS} members, got {sent!r:.80}")
        self._vehicle(id).physics = sent

    def get_telemetry_data(self, id: int) -> Any:
        """What there is of it: speed, pedals, gear; wheels are not simulated one by one."""
        one = self._host.episode.world.vehicles[self._slot(id)]
        wheel = [3.5, *([0.0] * 10)]
        steer = handedness.steer_to_carla(float(one["steer"]))
        values = [float(one[name]) for name in ("speed", "throttle", "brake")]
        return [values[0], steer, values[1], values[2], 0.0, 1, 0.3, [wheel] * 4]

    def get_wheel_steer_angle(self, id: int, wheel: int) -> Any:
        """Angle of the front wheels, right positive [deg]; 0 of the others."""
        one = self._host.episode.world.vehicles[self._slot(id)]
        angle = math.degrees(handedness.steer_to_carla(float(one["steering_angle"])))
        return angle if wheel in (0, 1) else 0.0

    def get_wheel_pitch_angle(self, id: int, wheel: int) -> Any:
        """0: wheels do not turn visibly."""
        self._slot(id)
        return 0.0

    def set_wheel_steer_direction(self, id: int, wheel: int, angle: float) -> None:
        """Accepted: it is for show."""
        self._slot(id)

    def set_vehicle_light_state(self, id: int, state: Any) -> None:
        """Switches lamps."""
        flags = int(state[0] if isinstance(state, list) else state)
        self._host.episode.touched = True
        self._host.episode.world.vehicles["lights"][self._slot(id)] = flags & _LAMPS

    def get_vehicle_light_state(self, id: int) -> Any:
        """Which lamps are on."""
        return [int(self._host.episode.world.vehicles["lights"][self._slot(id)])]

    def get_vehicle_light_states(self) -> Any:
        """Of everyone: actor and lamps."""
        world, actors = self._host.episode.world, self._host.episode.actors
        vehicles = world.vehicles
        pairs = zip(vehicles["id"].tolist(), vehicles["lights"].tolist(), strict=True)
        return [[id, lights] for id, lights in pairs if id in actors]

    def show_vehicle_debug_telemetry(self, id: int, on: bool) -> None:
        """Accepted, and seen by nobody: there is no window."""
        self._slot(id)

    def get_vehicle_failure_state(self, id: int) -> Any:
        """No vehicle fails."""
        self._slot(id)
        return 0

    def _ackermann(self, id: int) -> Ackermann:
        return self._host.episode.ackermann.setdefault(id, Ackermann())

    def _vehicle(self, id: int) -> Actor:
        actor = self._host.episode.find(id)
        if actor.kind != "vehicle":
            raise ValueError(f"actor {id}, {actor.type_id}, is no vehicle")
        return actor

    def _slot(self, id: int) -> int:
        self._vehicle(id)
        return self._host.episode.world.slot_of(id)
