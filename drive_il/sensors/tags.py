"""CARLA's semantic tags: which number each thing in a picture or a point cloud has.

The numbers of CARLA 0.9.14 and later (carla.CityObjectLabel). A light's tag is for its
head alone, its mast is a pole, as in CARLA; a cyclist's tag differs from his bicycle's.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from drive_il.actors import ActorKind
from drive_il.maps.land import PrismKind
from drive_il.sensors.surfaces import Ground


class Tag(IntEnum):
    """CARLA's semantic tags that occur in the embedded world."""

    ROAD = 1
    SIDEWALK = 2
    BUILDING = 3
    POLE = 6
    TRAFFIC_LIGHT = 7
    TRAFFIC_SIGN = 8
    VEGETATION = 9
    TERRAIN = 10
    SKY = 11
    PEDESTRIAN = 12
    RIDER = 13
    CAR = 14
    TRUCK = 15
    BUS = 16
    MOTORCYCLE = 18
    BICYCLE = 19
    DYNAMIC = 21
    ROAD_LINE = 24


OF_ACTOR = {
    ActorKind.CAR: Tag.CAR,
    ActorKind.VAN: Tag.CAR,
    ActorKind.TRUCK: Tag.TRUCK,
    ActorKind.BUS: Tag.BUS,
    ActorKind.MOTORCYCLE: Tag.MOTORCYCLE,
    ActorKind.BICYCLE: Tag.BICYCLE,
    ActorKind.PROP: Tag.DYNAMIC,
}
OF_PRISM = {
    PrismKind.HOUSE: Tag.BUILDING,
    PrismKind.POLE: Tag.POLE,
    PrismKind.TRUNK: Tag.VEGETATION,
    PrismKind.CROWN: Tag.VEGETATION,
    PrismKind.STOP: Tag.TRAFFIC_SIGN,
    PrismKind.YIELD: Tag.TRAFFIC_SIGN,
    PrismKind.SPEED: Tag.TRAFFIC_SIGN,
    PrismKind.LIGHT: Tag.TRAFFIC_LIGHT,
}
OF_GROUND = {
    Ground.GRASS: Tag.TERRAIN,
    Ground.ROAD: Tag.ROAD,
    Ground.SHOULDER: Tag.ROAD,
    Ground.SIDEWALK: Tag.SIDEWALK,
    Ground.PARKING: Tag.ROAD,
    Ground.VERGE: Tag.TERRAIN,
    Ground.BIKING: Tag.ROAD,
    Ground.KERB: Tag.SIDEWALK,
    Ground.WHITE: Tag.ROAD_LINE,
    Ground.YELLOW: Tag.ROAD_LINE,
    Ground.BLUE: Tag.ROAD_LINE,
    Ground.GREEN: Tag.ROAD_LINE,
    Ground.RED: Tag.ROAD_LINE,
}
GROUND_TAGS = np.array([OF_GROUND[ground] for ground in Ground], np.uint8)
"""Tag of each ground class, by its number"""
