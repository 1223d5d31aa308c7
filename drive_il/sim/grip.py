"""What tyres hold on a wet road: an option of an episode (`Traffic.slippery`).

Tyres carry at most mu g, in whichever direction they push (Kamm's circle). The coefficient
falls with the water on the road,

    wet   = max(precipitation, wetness, precipitation_deposits) / 100
    pools = precipitation_deposits / 100
    mu    = 0.85 - 0.20 wet - 0.15 pools

so that it runs through the values for new tyres at 50 km/h of the Bosch Automotive Handbook:
0.85 dry, 0.65 wet, 0.5 in puddles. Who asks for more gets it in the same proportion: a wish
along and a wish across, each at most mu g, are cut by one factor so that together they are mu g.
A car that brakes and steers too hard therefore still does some of both.
"""

from __future__ import annotations

import math
from typing import Any

from drive_il import kernels
from drive_il.steering import SLIP_RATIO

DRY = 0.85
"""coefficient of friction of a dry road"""
WET_LOSS = 0.20
"""what a film of water takes from it"""
POOL_LOSS = 0.15
"""what puddles take besides"""
GRAVITY = 9.81
"""[m/s^2]"""
UNLIMITED = 1e9
"""the grip of roads on which nothing slips [m/s^2]"""


@kernels.device
def grip_in(weather: Any) -> float:
    """Returns the largest acceleration that tyres give in a weather [m/s^2].

    Args:
        weather: WEATHER record.
    """
    pools = weather.precipitation_deposits / 100.0
    wet = max(max(weather.precipitation, weather.wetness) / 100.0, pools)
    return GRAVITY * (DRY - WET_LOSS * wet - POOL_LOSS * pools)


@kernels.device
def share(along: float, across: float, grip: float) -> tuple[float, float]:
    """Shares the grip between two wishes.

    Args:
        along: wished magnitude in the direction of travel [m/s^2].
        across: wished magnitude to the side [m/s^2].
        grip: see `grip_in`.

    Returns:
        What of the first is had, as a share of it; how much there is to the side at most [m/s^2].
    """
    most_along, most_across = min(along, grip), min(across, grip)
    both = math.hypot(most_along, most_across)
    if both <= grip:
        held = most_along / along if along > 0.0 else 1.0
        return held, math.sqrt(grip * grip - most_along * most_along)
    return most_along * grip / (both * along), most_across * grip / both


@kernels.device
def largest_angle(speed: float, rear_wheelbase: float, across: float) -> float:
    """Returns the wheel angle beyond which the front only slides [rad].

    Args:
        speed: [m/s].
        rear_wheelbase: [m].
        across: acceleration to the side that there is [m/s^2].
    """
    square = speed * speed
    if across * rear_wheelbase >= square:
        return 0.5 * math.pi
    sine = across * rear_wheelbase / square
    return math.atan(sine / math.sqrt(1.0 - sine * sine) / SLIP_RATIO)


@kernels.device
def care(grip: float) -> float:
    """Returns by how much of their usual distance drivers fall back on a slippery road, >= 1."""
    return max(DRY * GRAVITY / grip, 1.0)
