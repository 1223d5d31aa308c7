"""Drives straight on at 5 m/s, whatever comes."""

import carla
from leaderboard.autoagents.autonomous_agent import AutonomousAgent


def get_entry_point():
    return "StraightOn"


class StraightOn(AutonomousAgent):
    def sensors(self):
        return [{"type": "sensor.speedometer", "id": "speed", "reading_frequency": 20}]

    def run_step(self, input_data, timestamp):
        speed = input_data["speed"][1]["speed"]
        return carla.VehicleControl(throttle=0.75 if speed < 5.0 else 0.0)
