"""A driver in some 40 lines of CARLA's interface: its route by GNSS, compass and speed.

It keeps its lane in an empty town, and sees no traffic, no lights and no signs.
"""

import math

import carla
from leaderboard.autoagents.autonomous_agent import AutonomousAgent, Track


def get_entry_point():
    return "FollowRoute"


class FollowRoute(AutonomousAgent):
    def setup(self, path_to_conf_file):
        self.track = Track.SENSORS
        self.speed_limit = float(path_to_conf_file or 7.0)  # m/s; the config is ours to read
        self.here, self.next = None, 0

    def set_global_plan(self, global_plan_gps, global_plan_world_coord):
        # The base class keeps points 50 or 200 m apart; these are all of them, 1 m apart.
        super().set_global_plan(global_plan_gps, global_plan_world_coord)
        self.origin = global_plan_gps[0][0]
        self.route = [self.metres(point["lat"], point["lon"]) for point, _ in global_plan_gps]

    def metres(self, lat, lon):
        # East and north of the start; a sphere is flat over a few kilometres.
        scale = math.radians(1.0) * 6378137.0
        narrow = math.cos(math.radians(self.origin["lat"]))
        return (lon - self.origin["lon"]) * scale * narrow, (lat - self.origin["lat"]) * scale

    def sensors(self):
        place = {"x": 0.0, "y": 0.0, "z": 0.0, "roll": 0.0, "pitch": 0.0, "yaw": 0.0}
        return [
            {"type": "sensor.other.gnss", "id": "gnss", **place},
            {"type": "sensor.other.imu", "id": "imu", **place},
            {"type": "sensor.speedometer", "id": "speed", "reading_frequency": 20},
        ]

    def run_step(self, input_data, timestamp):
        lat, lon, _ = input_data["gnss"][1]
        compass, speed = input_data["imu"][1][6], input_data["speed"][1]["speed"]
        seen = self.metres(lat, lon)
        # GNSS is off by half a metre each time: trust the wheels, and it only slowly.
        ahead = (math.sin(compass), math.cos(compass))
        here = self.here or seen
        moved = [p + speed * 0.05 * a for p, a in zip(here, ahead)]
        self.here = [m + 0.03 * (s - m) for m, s in zip(moved, seen)]

        window = range(self.next, min(self.next + 20, len(self.route)))
        self.next = min(window, key=lambda i: self.distance(self.route[i]))
        error = self.angle_to(self.next + 3 + int(0.4 * speed), compass)
        bend = abs(self.angle_to(self.next + 15, compass))

        target = self.speed_limit / (1.0 + 3.0 * bend)
        push = 0.5 * (target - speed)
        steer = max(-1.0, min(1.0, 1.1 * error))  # right is positive
        return carla.VehicleControl(
            throttle=max(0.0, min(0.75, push)), steer=steer, brake=max(0.0, min(1.0, -push))
        )

    def distance(self, point):
        return math.hypot(point[0] - self.here[0], point[1] - self.here[1])

    def angle_to(self, index, compass):
        # How far to the right of straight ahead a route point lies, in radians.
        east, north = self.route[min(index, len(self.route) - 1)]
        angle = math.atan2(east - self.here[0], north - self.here[1]) - compass
        return (angle + math.pi) % (2.0 * math.pi) - math.pi
