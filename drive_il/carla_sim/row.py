"""One row of a CARLA world: one server, one ego, one episode after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import carla
import numpy as np

from drive_il import handedness
from drive_il.carla_sim.cast import Cast, carla_transform, pose_of_record
from drive_il.carla_sim.casting import ego_blueprint
from drive_il.carla_sim.connection import Connection
from drive_il.carla_sim.contacts import Detector, write_contact
from drive_il.carla_sim.lights import Lights
from drive_il.carla_sim.mirror import Mirror
from drive_il.carla_sim.reading import states_of, write_vehicles
from drive_il.carla_sim.rig import Rig, Sensor
from drive_il.carla_sim.traffic import Autopilot
from drive_il.datatypes import Array, EpisodeSpec, Floats, State
from drive_il.maps.network import RoadNetwork

_DROP = 0.3  # [m] above the road the ego is put down
_FALLS = 0.05  # [m/s] slower than this it has come to rest
_LONGEST_FALL = 40  # ticks
_RELEASE = 8  # ticks that brakes take to let go
_WEATHER_MOVES = 0.1  # change of a parameter that is worth a call


class Row:
    """A server with an ego, mirrored.

    Args:
        mirror: of all rows.
        index: which of its rows.
        connection: to the server.
        network: the map.
    """

    def __init__(
        self, mirror: Mirror, index: int, connection: Connection, network: RoadNetwork
    ) -> None:
        self._mirror, self._index, self._connection = mirror, index, connection
        self._lights = Lights(connection, network)
        self._cast: Cast | None = None
        self._autopilot: Autopilot | None = None
        self._ego: Any = None
        self._rig: Rig | None = None
        self._detector = Detector()
        self._weather: Floats = np.zeros(0)
        self._present: Any = None  # the last snapshot
        self._n_present = -1

    def begin(self, spec: EpisodeSpec, sensors: Sequence[Sensor]) -> None:
        """Puts an episode on the server as the mirror, just reset, has it.

        Args:
            spec: of the episode.
            sensors: what the ego carries.
        """
        self.end()
        mirror, row, connection = self._mirror, self._index, self._connection
        self._set_weather(mirror.scene.weather[row])
        self._lights.freeze(True)
        self._lights.show(mirror.lights(row))
        start = mirror.scene.ego[row : row + 1].copy()[0]
        self._spawn_ego(start)
        self._autopilot = Autopilot(connection, spec.seed, spec.traffic.jaywalkers)
        self._cast = Cast(connection, self._autopilot, mirror.leads_traffic(row))
        connection.send(self._cast.follow(mirror.vehicles(row), mirror.walkers(row)))
        self._detector = Detector()
        self._rig = Rig(connection, self._ego, sensors, self._detector, spec.seed)
        self._land()
        snapshot = self._start(start)
        self._write(snapshot, moves_on=False)
        self._detector.take(snapshot.frame, is_sure=False)
        self._rig.take(snapshot.frame)

    def _spawn_ego(self, start: Any) -> None:
        connection, ego = self._connection, self._mirror.scene.ego
        library = connection.ask(connection.world.get_blueprint_library)
        blueprint = ego_blueprint(library, start)
        at = carla_transform(pose_of_record(start, _DROP))
        self._ego = connection.ask(lambda: connection.world.spawn_actor(blueprint, at))
        half, row = self._ego.bounding_box.extent, self._index
        ego["length"][row], ego["width"][row] = 2.0 * half.x, 2.0 * half.y
        ego["height"][row] = 2.0 * half.z
        self._mirror.vehicles(row)[0] = ego[row]

    def _land(self) -> None:
        """Lets the ego come to rest on its wheels."""
        hold = carla.VehicleControl(brake=1.0, hand_brake=True)
        self._connection.send([carla.command.ApplyVehicleControl(self._ego.id, hold)])
        for _ in range(_LONGEST_FALL):
            seen = self._connection.tick().find(self._ego.id)
            if seen is not None and abs(seen.get_velocity().z) < _FALLS:
                break
        free = carla.command.ApplyVehicleControl(self._ego.id, carla.VehicleControl())
        self._connection.send([free])
        for _ in range(_RELEASE):
            self._connection.tick()

    def _start(self, start: Any) -> Any:
        """Puts the ego where the episode begins, at its speed; returns the snapshot of that."""
        speed, heading = float(start["speed"]), float(start["heading"])
        pose = pose_of_record(start)
        back = speed * self._mirror.dt  # it drives for one tick before it is seen
        pose = pose._replace(
            x=pose.x - back * math.cos(heading), y=pose.y - back * math.sin(heading)
        )
        command, ego = carla.command, self._ego.id
        x, y = speed * math.cos(heading), handedness.y_to_carla(speed * math.sin(heading))
        self._connection.send(
            [
                command.ApplyTransform(ego, carla_transform(pose)),
                command.ApplyTargetVelocity(ego, carla.Vector3D(x, y, 0.0)),
            ]
        )
        return self._connection.tick()

    def step(self, control: Any) -> None:
        """Drives the ego by one step.

        Args:
            control: CONTROL record.
        """
        assert self._cast is not None, "begun"
        assert self._rig is not None, "begun"
        mirror, row = self._mirror, self._index
        pedals, turn = mirror.lead(row)
        commands = self._cast.follow(mirror.vehicles(row), mirror.walkers(row))
        self._lights.show(mirror.lights(row))
        self._set_weather(mirror.scene.weather[row])
        asked = float(control["throttle"])
        throttle = min(max(asked + pedals, min(asked, 0.0)), 1.0)
        steer = min(max(float(control["steer"]) + turn, -1.0), 1.0)
        told = carla.VehicleControl(
            abs(throttle),
            handedness.steer_to_carla(steer),
            float(control["brake"]),
            reverse=throttle < 0.0,
        )
        commands.append(carla.command.ApplyVehicleControl(self._ego.id, told))
        self._connection.send(commands)
        snapshot = self._connection.tick()
        ego = mirror.scene.ego
        ego["throttle"][row], ego["brake"][row] = abs(throttle), float(control["brake"])
        ego["steer"][row] = steer
        self._write(snapshot, moves_on=True)
        self._rig.take(snapshot.frame)

    def _write(self, snapshot: Any, moves_on: bool) -> None:
        """Tells the mirror what is on the server."""
        assert self._cast is not None, "begun"
        mirror, row = self._mirror, self._index
        self._present = snapshot
        self._cast.read(snapshot, mirror.vehicles(row), mirror.walkers(row))
        states, there = states_of(snapshot, [self._ego.id])
        if not there[0]:
            raise RuntimeError(
                f"somebody destroyed the ego on the server at {self._connection.address}; a "
                "server that is driven must be left alone"
            )
        scene = mirror.scene
        write_vehicles(scene.ego, np.array([row]), states)
        if moves_on:
            contacts = self._detector.take(snapshot.frame, mirror.touches(row))
            bodies = mirror.vehicles(row), mirror.walkers(row)
            write_contact(scene.events[row], scene.ego[row], contacts, self._cast, *bodies)
        mirror.follow(row, moves_on)

    def adopt(self) -> None:
        """Lets the mirror show whom somebody else has brought to the server.

        It may need room that other rows' arrays are moved for, so one row adopts at a time.
        """
        if self._cast is None or len(self._present) == self._n_present:
            return
        snapshot = self._present
        self._n_present = len(snapshot)
        mirror, row = self._mirror, self._index
        known = {self._ego.id} | (self._rig.ids if self._rig is not None else set())
        for actor in self._cast.strangers(snapshot, known):
            walks = actor.type_id.startswith("walker.")
            slot, id = mirror.make_place(row, walks)
            records = mirror.walkers(row) if walks else mirror.vehicles(row)
            self._cast.adopt(actor, records[slot], slot, id)

    def _set_weather(self, weather: Any) -> None:
        names = weather.dtype.names
        values = np.array([float(weather[name]) for name in names])
        if len(self._weather) and np.abs(values - self._weather).max() < _WEATHER_MOVES:
            return
        self._weather = values
        told = carla.WeatherParameters(**dict(zip(names, values.tolist(), strict=True)))
        self._connection.ask(lambda: self._connection.world.set_weather(told))

    def seen(self) -> State:
        """Returns what the ego's sensors said last, by their names, without a leading row."""
        found: dict[str, Array] = {} if self._rig is None else self._rig.seen
        return found

    def end(self) -> None:
        """Takes the episode off the server."""
        if self._rig is not None:
            self._rig.stop()
        if self._autopilot is not None:
            self._autopilot.dismiss()
        ids = [] if self._rig is None else list(self._rig.ids)
        ids += [] if self._cast is None else self._cast.ours()
        if self._ego is not None:
            ids.append(self._ego.id)
        self._rig = self._cast = self._autopilot = self._ego = None
        self._n_present = -1
        self._connection.destroy(ids)
        self._lights.freeze(False)
