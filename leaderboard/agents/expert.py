"""The scripted planner as an entry: it sees the whole scene, so it is privileged.

Privileged agents are experts: a class made from (network, config) with `control(scene)`. Here
speed is compared with the traffic's and a drive ends where its route does, so this one does not
halt at the end. Driven at the limit, not a tenth below, it hits who runs out before it.
"""

from drive_il.experts.planner import Planner, PlannerConfig

CONFIG = PlannerConfig(end_speed=25.0)


def get_entry_point():
    return "Expert"


class Expert:
    privileged = True

    def __init__(self, network, config):
        self.planner = Planner(CONFIG, network)

    def control(self, scene):
        return self.planner.control(scene)
