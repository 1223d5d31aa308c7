"""The scripted planner as an entry: it sees the whole scene, so it is privileged.

Privileged agents are experts: a class made from (network, config) with `control(scene)`.
"""

from drive_il.experts.planner import Planner


def get_entry_point():
    return "Expert"


class Expert:
    privileged = True

    def __init__(self, network, config):
        self.planner = Planner(network=network)

    def control(self, scene):
        return self.planner.control(scene)
