"""Names and usual sizes of the entries of vector observations, shapes of rasters.

The sensors fill the entries in this order; a network divides each by its usual size, so
that all are about 1. Sizes are no limits.
"""

from __future__ import annotations

PREVIEW = (0.0, 5.0, 10.0, 20.0, 40.0)
"""distances ahead along the route at which its curvature is given [m]"""
STATE = {
    "speed": 10.0,  # [m/s] >= 0
    "acceleration": 3.0,  # [m/s^2]
    "yaw_rate": 0.3,  # [rad/s]
    "steering_angle": 0.2,  # [rad]
    "lateral_error": 0.5,  # [m] left positive
    "heading_error": 0.1,  # [rad] in [-pi, pi)
    "speed_limit": 10.0,  # [m/s]
    "lane_width": 3.5,  # [m]
    "target_x": 20.0,  # [m] target point, ego frame
    "target_y": 10.0,  # [m]
    **{f"curvature_{distance:g}m": 0.1 for distance in PREVIEW},  # [1/m] left positive
    "stop_distance": 20.0,  # [m] from the front bumper to the next stop line, at most 100 (none)
    "stop_red": 1.0,  # 0 or 1: a red light belongs to that line
    "stop_yellow": 1.0,
    "stop_green": 1.0,
    "stop_sign": 1.0,  # a stop sign at which the ego has yet to halt
    "stop_yield": 1.0,  # a yield sign
    "has_leader": 1.0,  # 0 or 1: something stands or drives on the route ahead
    "leader_gap": 20.0,  # [m] bumper to bumper along the route, in [0, 100], 100 without a leader
    "leader_speed": 10.0,  # [m/s] along the route, 0 without a leader
}
"""Entries of the state vector."""
ACTOR = {
    "x": 20.0,  # [m] of its centre, ego frame: forward, in [-100, 100]
    "y": 10.0,  # [m] left
    "cos": 1.0,  # of its heading in the ego frame, [-1, 1]
    "sin": 1.0,
    "velocity_x": 10.0,  # [m/s] over the ground, ego frame
    "velocity_y": 10.0,
    "length": 5.0,  # [m]
    "width": 2.0,  # [m]
    "is_car": 1.0,  # 0 or 1: car, van, truck or bus
    "is_cyclist": 1.0,  # motorcycle or bicycle
    "is_walker": 1.0,
    "is_prop": 1.0,
    "brake_light": 1.0,  # 0 or 1
    "left_blinker": 1.0,
    "right_blinker": 1.0,
    "emergency": 1.0,  # emergency lights
}
"""Attributes of one actor."""
LANE = {
    "x": 20.0,  # [m] of a point of the lane's middle, ego frame: forward
    "y": 10.0,  # [m] left
    "cos": 1.0,  # direction of travel there, ego frame
    "sin": 1.0,
    "width": 3.5,  # [m]
    "speed_limit": 10.0,  # [m/s]
    "left_broken": 1.0,  # 0 or 1: the marking on the left may be crossed
    "left_solid": 1.0,  # it may not
    "right_broken": 1.0,
    "right_solid": 1.0,
    "is_driving": 1.0,  # 0 or 1, type of the lane
    "is_biking": 1.0,
    "is_parking": 1.0,
    "in_junction": 1.0,
    "red": 1.0,  # 0 or 1: state of the light at whose stop line the lane ends
    "yellow": 1.0,
    "green": 1.0,
    "stop_sign": 1.0,
    "on_route": 1.0,  # the ego's route runs on this lane within the next 100 m
}
"""Attributes of one point of a lane."""
BIRDVIEW_SHAPE = ((4, 96, 96), (7, 96, 96))
"""Planes, rows and columns of the bird's-eye raster, without actors and with them."""
