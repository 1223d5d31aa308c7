"""The least one can do: brake. What any score is worth is told by how far it is above this."""

import carla
from leaderboard.autoagents.autonomous_agent import AutonomousAgent


def get_entry_point():
    return "StandStill"


class StandStill(AutonomousAgent):
    def sensors(self):
        return []

    def run_step(self, input_data, timestamp):
        return carla.VehicleControl(brake=1.0)
