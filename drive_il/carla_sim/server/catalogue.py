"""CARLA's vehicles, people and props: what they are called and how large they are.

Names, generations and what has lamps or doors are those of CARLA 0.9.16's vehicle catalogue;
sizes are CARLA's own boxes, to the centimetre. ("Vehicle catalogue", "Blueprint library".)
"""

from __future__ import annotations

from typing import NamedTuple

from drive_il.actors import ActorKind

_CAR, _VAN, _TRUCK, _BUS = ActorKind.CAR, ActorKind.VAN, ActorKind.TRUCK, ActorKind.BUS
_MOTORCYCLE, _BICYCLE = ActorKind.MOTORCYCLE, ActorKind.BICYCLE


class VehicleModel(NamedTuple):
    """One vehicle of the catalogue.

    Attributes:
        kind: what it moves and looks like here.
        generation: 1 or 2.
        size: length, width, height [m].
        lights: it has lamps.
        doors: it has doors that open.
        special: emergency, taxi, electric or nothing.
    """

    kind: ActorKind
    generation: int
    size: tuple[float, float, float]
    lights: bool = False
    doors: bool = False
    special: str = ""

    @property
    def wheels(self) -> int:
        """2 or 4."""
        return 2 if self.kind in (_MOTORCYCLE, _BICYCLE) else 4


VEHICLES = {
    "audi.a2": VehicleModel(_CAR, 1, (3.71, 1.79, 1.55)),
    "audi.etron": VehicleModel(_CAR, 1, (4.86, 2.03, 1.65), special="electric"),
    "audi.tt": VehicleModel(_CAR, 1, (4.18, 1.99, 1.39)),
    "bh.crossbike": VehicleModel(_BICYCLE, 1, (1.49, 0.86, 1.62)),
    "bmw.grandtourer": VehicleModel(_CAR, 1, (4.61, 2.24, 1.67)),
    "carlamotors.carlacola": VehicleModel(_TRUCK, 1, (5.20, 2.61, 2.47)),
    "carlamotors.european_hgv": VehicleModel(_TRUCK, 2, (7.94, 2.89, 3.46), True),
    "carlamotors.firetruck": VehicleModel(
        _TRUCK, 2, (8.47, 2.89, 3.83), True, True, special="emergency"
    ),
    "chevrolet.impala": VehicleModel(_CAR, 1, (5.36, 2.03, 1.41)),
    "citroen.c3": VehicleModel(_CAR, 1, (3.99, 1.85, 1.62)),
    "diamondback.century": VehicleModel(_BICYCLE, 1, (1.64, 0.58, 1.63)),
    "dodge.charger_2020": VehicleModel(_CAR, 2, (5.01, 2.10, 1.53), True, True),
    "dodge.charger_police": VehicleModel(
        _CAR, 1, (4.97, 2.04, 1.54), lights=True, special="emergency"
    ),
    "dodge.charger_police_2020": VehicleModel(
        _CAR, 2, (5.24, 2.10, 1.64), True, True, special="emergency"
    ),
    "ford.ambulance": VehicleModel(_VAN, 2, (6.36, 2.35, 2.43), True, True, special="emergency"),
    "ford.crown": VehicleModel(_CAR, 2, (5.37, 1.80, 1.57), True, True, special="taxi"),
    "ford.mustang": VehicleModel(_CAR, 1, (4.72, 1.89, 1.30), lights=True),
    "gazelle.omafiets": VehicleModel(_BICYCLE, 1, (1.84, 0.66, 1.78)),
    "harley-davidson.low_rider": VehicleModel(_MOTORCYCLE, 1, (2.36, 0.76, 1.63), lights=True),
    "jeep.wrangler_rubicon": VehicleModel(_CAR, 1, (3.87, 1.91, 1.88)),
    "kawasaki.ninja": VehicleModel(_MOTORCYCLE, 1, (2.03, 0.80, 1.57), lights=True),
    "lincoln.mkz_2017": VehicleModel(_CAR, 1, (4.90, 2.13, 1.51), lights=True),
    "lincoln.mkz_2020": VehicleModel(_CAR, 2, (4.89, 1.84, 1.49), True, True),
    "mercedes.coupe": VehicleModel(_CAR, 1, (5.03, 2.15, 1.65)),
    "mercedes.coupe_2020": VehicleModel(_CAR, 2, (4.67, 2.00, 1.44), True, True),
    "mercedes.sprinter": VehicleModel(_VAN, 2, (5.92, 1.99, 2.56), True, True),
    "micro.microlino": VehicleModel(_CAR, 1, (2.21, 1.48, 1.38), special="electric"),
    "mini.cooper_s": VehicleModel(_CAR, 1, (3.81, 1.97, 1.48)),
    "mini.cooper_s_2021": VehicleModel(_CAR, 2, (4.55, 2.10, 1.77), True, True),
    "mitsubishi.fusorosa": VehicleModel(_BUS, 2, (10.27, 3.94, 4.25), lights=True),
    "nissan.micra": VehicleModel(_CAR, 1, (3.63, 1.85, 1.50)),
    "nissan.patrol": VehicleModel(_CAR, 1, (4.60, 1.93, 1.85)),
    "nissan.patrol_2021": VehicleModel(_CAR, 2, (5.57, 2.15, 2.05), True, True),
    "seat.leon": VehicleModel(_CAR, 1, (4.19, 1.82, 1.47)),
    "tesla.cybertruck": VehicleModel(_CAR, 1, (6.27, 2.39, 2.10), lights=True, special="electric"),
    "tesla.model3": VehicleModel(_CAR, 1, (4.79, 2.16, 1.49), lights=True, special="electric"),
    "toyota.prius": VehicleModel(_CAR, 1, (4.51, 2.01, 1.52)),
    "vespa.zx125": VehicleModel(_MOTORCYCLE, 1, (1.80, 0.87, 1.50), lights=True),
    "volkswagen.t2": VehicleModel(_VAN, 1, (4.48, 2.07, 2.04), lights=True),
    "volkswagen.t2_2021": VehicleModel(_VAN, 2, (4.44, 1.77, 1.99), True, True),
    "yamaha.yzf": VehicleModel(_MOTORCYCLE, 1, (2.21, 0.87, 1.53), lights=True),
}
"""by name, without the leading "vehicle." """

LIKE = {
    ActorKind.CAR: "lincoln.mkz_2020",
    ActorKind.VAN: "mercedes.sprinter",
    ActorKind.TRUCK: "carlamotors.european_hgv",
    ActorKind.BUS: "mitsubishi.fusorosa",
    ActorKind.MOTORCYCLE: "yamaha.yzf",
    ActorKind.BICYCLE: "gazelle.omafiets",
}
"""what the world's own traffic is called"""

N_PEDESTRIANS = 52
"""walker.pedestrian.0001 and so on"""
CHILDREN = frozenset((9, 10, 11, 12, 13, 14, 48, 49))
"""the children among them"""
WALKER_SIZE = (0.38, 0.38, 1.86)
"""length, width, height of a grown walker [m]"""
CHILD_SIZE = (0.50, 0.50, 1.10)
"""of a child [m]"""

_TINY, _SMALL, _MEDIUM, _BIG = 0.25, 0.55, 1.1, 2.2  # [m] edge of a prop
EDGES = {"tiny": _TINY, "small": _SMALL, "medium": _MEDIUM, "big": _BIG}
"""edge of a prop of a size whose own box is not in PROP_BOXES [m]"""
FLAT = frozenset(
    (
        *(f"brokentile{k:02}" for k in range(1, 5)),
        *(f"dirtdebris{k:02}" for k in range(1, 4)),
        "clothesline",
        "ironplank",
        "plasticbag",
    )
)
"""props that one drives over"""
PROP_BOXES = {
    "advertisement": (0.5, 1.5, 2.6),
    "busstop": (1.6, 3.9, 2.7),
    "chainbarrier": (0.2, 1.5, 0.9),
    "constructioncone": (0.35, 0.35, 0.6),
    "container": (2.0, 1.2, 1.4),
    "kiosk_01": (3.0, 3.0, 3.0),
    "streetbarrier": (0.4, 1.2, 1.0),
    "trafficcone01": (0.45, 0.45, 0.75),
    "trafficcone02": (0.45, 0.45, 0.75),
    "trafficwarning": (2.6, 2.6, 2.9),
    "vendingmachine": (0.9, 1.1, 2.0),
    "warningaccident": (0.6, 0.9, 1.1),
    "warningconstruction": (0.6, 0.9, 1.1),
}
"""length, width, height of props that matter on a road [m]"""
PROPS = {
    "tiny": "briefcase,colacan,mobile,omri-0,omri-1,purse,shoppingbag,wateringcan",
    "small": """barrel,bike helmet,box01,box02,box03,brokentile01,brokentile02,brokentile03,
        brokentile04,constructioncone,creasedbox01,creasedbox02,creasedbox03,dirtdebris01,
        dirtdebris02,dirtdebris03,garbage01,garbage02,garbage03,garbage04,garbage05,garbage06,
        gardenlamp,gnome,guitarcase,ironplank,mailbox,motorhelmet,plantpot01,plantpot02,
        plantpot03,plantpot04,plantpot05,plantpot06,plantpot07,plantpot08,plasticbag,
        plasticchair,trafficcone01,trafficcone02,trashbag,trashcan01,trashcan02,trashcan03,
        trashcan04,trashcan05,travelcase""",
    "medium": """atm,barbeque,bench01,bench02,bench03,bikeparking,bin,calibrator,chainbarrier,
        chainbarrierend,clothcontainer,doghouse,haybale,haybalelb,maptable,platformgarbage01,
        plastictable,shoppingcart,shoppingtrolley,streetbarrier,streetfountain,streetsign,
        streetsign01,streetsign04,table,trampoline,vendingmachine,warningaccident,
        warningconstruction""",
    "big": """advertisement,busstop,busstoplb,clothesline,container,foodcart,fountain,
        glasscontainer,kiosk_01,mesh,pergola,slide,swing,swingcouch,trafficwarning""",
}
"""size -> names with commas between them, without the leading "static.prop." """
