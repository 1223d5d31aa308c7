"""Which sensors a policy has: typed, saved in every model folder."""

from __future__ import annotations

from dataclasses import dataclass

MAX_RANGE = 300.0
"""of lidars and radars: the scenery further away is never seen [m]"""


@dataclass(frozen=True)
class CameraSpec:
    """One camera on the ego.

    The picture is (height, width, 3) uint8 RGB, (height, width) float32 depth along the
    optical axis [m], (height, width) uint8 semantic class with CARLA's tag numbers, or
    (height, width, 3) uint8 instance: CARLA's tag, then the actor's id, low byte and high.
    """

    name: str = "rgb"
    """key in the observation"""
    kind: str = "rgb"
    """rgb, depth, semantic or instance"""
    width: int = 96
    """pixels"""
    height: int = 64
    """pixels"""
    fov: float = 90.0
    """horizontal field of view [deg]"""
    x: float = 1.3
    """forward of the ego's centre [m]"""
    y: float = 0.0
    """left of the ego's centre [m]"""
    z: float = 1.6
    """above the road [m]"""
    yaw: float = 0.0
    """left of the ego's heading [rad]"""
    pitch: float = 0.0
    """nose up [rad]"""
    roll: float = 0.0
    """right side down [rad]"""

    def __post_init__(self) -> None:
        if self.kind not in ("rgb", "depth", "semantic", "instance"):
            raise ValueError(
                f"camera kind must be rgb, depth, semantic or instance, got {self.kind!r}"
            )
        if not (1 <= self.width <= 8192 and 1 <= self.height <= 8192):
            raise ValueError(
                f"camera width and height must be in [1, 8192], got {self.width}x{self.height}"
            )
        if not 1.0 <= self.fov < 180.0:
            raise ValueError(f"camera fov must be in [1, 180) degrees, got {self.fov}")


@dataclass(frozen=True)
class LidarSpec:
    """One lidar on the ego: CARLA's sensor.lidar.ray_cast or ray_cast_semantic.

    Attribute names and units are CARLA's, the defaults those of its leaderboard. It turns
    clockwise, from the rear over the left side. At 20 Hz and 10 turns a second each frame
    is half a sweep that begins where the last one ended.
    """

    name: str = "lidar"
    """key in the observation"""
    kind: str = "ray_cast"
    """ray_cast, or semantic, which loses no points and has no noise"""
    channels: int = 64
    """lasers, evenly spaced from upper_fov to lower_fov"""
    range: float = 85.0
    """nothing further away is measured [m]"""
    points_per_second: int = 600_000
    """beams of all lasers"""
    rotation_frequency: float = 10.0
    """turns a second [Hz]"""
    upper_fov: float = 10.0
    """elevation of the highest laser [deg]"""
    lower_fov: float = -30.0
    """elevation of the lowest laser [deg]"""
    horizontal_fov: float = 360.0
    """swept angle, in the middle of it is forward [deg]"""
    atmosphere_attenuation_rate: float = 0.004
    """intensity is exp(-rate * distance) [1/m]"""
    dropoff_general_rate: float = 0.45
    """share of beams that are lost"""
    dropoff_intensity_limit: float = 0.8
    """no more points are lost above this intensity"""
    dropoff_zero_intensity: float = 0.4
    """share of points that are lost on top of that at intensity 0"""
    noise_stddev: float = 0.0
    """of the distance, along the beam [m]"""
    x: float = 0.0
    """forward of the ego's centre [m]"""
    y: float = 0.0
    """left of the ego's centre [m]"""
    z: float = 2.5
    """above the road [m]"""
    yaw: float = 0.0
    """left of the ego's heading [rad]"""
    pitch: float = 0.0
    """nose up; a lidar that is not level takes about four times as long [rad]"""
    roll: float = 0.0
    """right side down [rad]"""

    def __post_init__(self) -> None:
        if self.kind not in ("ray_cast", "semantic"):
            raise ValueError(f"lidar kind must be ray_cast or semantic, got {self.kind!r}")
        if not 1 <= self.channels <= 1024:
            raise ValueError(f"lidar channels must be in [1, 1024], got {self.channels}")
        if not 0.0 < self.range <= MAX_RANGE:
            raise ValueError(f"lidar range must be in (0, {MAX_RANGE:g}] m, got {self.range}")
        if not -89.0 <= self.lower_fov <= self.upper_fov <= 89.0:
            raise ValueError(
                "lidar lower_fov and upper_fov must be in [-89, 89] degrees and in this order, "
                f"got {self.lower_fov} and {self.upper_fov}"
            )
        if not 0.0 < self.horizontal_fov <= 360.0:
            raise ValueError(
                f"lidar horizontal_fov must be in (0, 360] degrees, got {self.horizontal_fov}"
            )
        for name in ("points_per_second", "rotation_frequency", "z"):
            if not getattr(self, name) > 0:
                raise ValueError(f"lidar {name} must be > 0, got {getattr(self, name)}")
        _check_shares(
            self, "dropoff_general_rate", "dropoff_intensity_limit", "dropoff_zero_intensity"
        )
        _check_not_negative(self, "atmosphere_attenuation_rate", "noise_stddev")


@dataclass(frozen=True)
class RadarSpec:
    """One radar on the ego: CARLA's sensor.other.radar, with its names, units and defaults."""

    name: str = "radar"
    """key in the observation"""
    horizontal_fov: float = 30.0
    """[deg]"""
    vertical_fov: float = 30.0
    """[deg]"""
    range: float = 100.0
    """along its axis [m]"""
    points_per_second: int = 1500
    """beams"""
    x: float = 2.0
    """forward of the ego's centre [m]"""
    y: float = 0.0
    """left of the ego's centre [m]"""
    z: float = 1.0
    """above the road [m]"""
    yaw: float = 0.0
    """left of the ego's heading [rad]"""
    pitch: float = 0.0
    """nose up [rad]"""
    roll: float = 0.0
    """right side down [rad]"""

    def __post_init__(self) -> None:
        for name in ("horizontal_fov", "vertical_fov"):
            if not 0.0 <= getattr(self, name) < 180.0:
                raise ValueError(
                    f"radar {name} must be in [0, 180) degrees, got {getattr(self, name)}"
                )
        if not 0.0 < self.range <= MAX_RANGE:
            raise ValueError(f"radar range must be in (0, {MAX_RANGE:g}] m, got {self.range}")
        for name in ("points_per_second", "z"):
            if not getattr(self, name) > 0:
                raise ValueError(f"radar {name} must be > 0, got {getattr(self, name)}")


@dataclass(frozen=True)
class GnssSpec:
    """Satellite navigation: CARLA's sensor.other.gnss with the leaderboard's noise.

    Biases and standard deviations are in degrees, those of the altitude in metres.
    """

    noise_lat_bias: float = 0.0
    """[deg]"""
    noise_lat_stddev: float = 5e-6
    """[deg]"""
    noise_lon_bias: float = 0.0
    """[deg]"""
    noise_lon_stddev: float = 5e-6
    """[deg]"""
    noise_alt_bias: float = 0.0
    """[m]"""
    noise_alt_stddev: float = 5e-6
    """[m]"""
    x: float = 0.0
    """forward of the ego's centre [m]"""
    y: float = 0.0
    """left of the ego's centre [m]"""
    z: float = 0.0
    """above the road [m]"""

    def __post_init__(self) -> None:
        _check_not_negative(self, "noise_lat_stddev", "noise_lon_stddev", "noise_alt_stddev")


@dataclass(frozen=True)
class ImuSpec:
    """Accelerometer, gyroscope and compass: CARLA's sensor.other.imu, the leaderboard's noise."""

    noise_accel_stddev_x: float = 0.001
    """[m/s^2]"""
    noise_accel_stddev_y: float = 0.001
    """[m/s^2]"""
    noise_accel_stddev_z: float = 0.015
    """[m/s^2]"""
    noise_gyro_bias_x: float = 0.0
    """[rad/s]"""
    noise_gyro_bias_y: float = 0.0
    """[rad/s]"""
    noise_gyro_bias_z: float = 0.0
    """[rad/s]"""
    noise_gyro_stddev_x: float = 0.001
    """[rad/s]"""
    noise_gyro_stddev_y: float = 0.001
    """[rad/s]"""
    noise_gyro_stddev_z: float = 0.001
    """[rad/s]"""
    x: float = 0.0
    """forward of the ego's centre [m]"""
    y: float = 0.0
    """left of the ego's centre [m]"""

    def __post_init__(self) -> None:
        names = [f"noise_{kind}_stddev_{axis}" for kind in ("accel", "gyro") for axis in "xyz"]
        _check_not_negative(self, *names)


def _check_shares(spec: object, *names: str) -> None:
    for name in names:
        if not 0.0 <= getattr(spec, name) <= 1.0:
            raise ValueError(f"{name} must be in [0, 1], got {getattr(spec, name)}")


def _check_not_negative(spec: object, *names: str) -> None:
    for name in names:
        if not getattr(spec, name) >= 0.0:
            raise ValueError(f"{name} must be >= 0, got {getattr(spec, name)}")


@dataclass(frozen=True)
class VectorSpec:
    """How much of the scene is shown as vectors; see sensors/vectors.py for the entries.

    `lanes` (B, lanes, points, 19) float32 with `lanes_mask` (B, lanes) bool, and `actors`
    (B, actors, 16) float32 with `actors_mask` (B, actors) bool, nearest first.
    """

    lanes: int = 32
    """pieces of lane of at most 20 m"""
    points: int = 10
    """points along each piece"""
    actors: int = 16
    """vehicles, walkers and props"""

    def __post_init__(self) -> None:
        for name, least in (("lanes", 1), ("points", 2), ("actors", 0)):
            if not least <= getattr(self, name) <= 1024:
                raise ValueError(
                    f"vectors.{name} must be in [{least}, 1024], got {getattr(self, name)}"
                )


def _check_kinds(name: str, given: object, kind: type) -> None:
    """Raises a ValueError unless a field holds specs of one kind."""
    what = f"{name} must be a tuple of {kind.__name__}, as in {name}=({kind.__name__}(),)"
    if not isinstance(given, (tuple, list)):
        raise ValueError(f"{what}, got {given!r}")
    for one in given:
        if not isinstance(one, kind):
            raise ValueError(f"{what}, got {one!r} in it")


@dataclass(frozen=True)
class ObservationSpec:
    """Which sensors a policy has; saved in every model folder.

    Every observation also holds `speed` (B,) float32 [m/s] and `command` (B,) int64.
    """

    cameras: tuple[CameraSpec, ...] = (CameraSpec(),)
    """cameras, by name"""
    range_finder: bool = False
    """ALVINN's laser range finder: `range_finder` (B, 8, 32) float32 in [0, 1]"""
    birdview: bool = False
    """bird's-eye raster: `birdview` (B, C, H, W) uint8"""
    state: bool = False
    """privileged state vector: `state` (B, F) float32"""
    lidars: tuple[LidarSpec, ...] = ()
    """lidars, by name: `NAME` (B, M, 4) float32 x, y, z [m], intensity; `NAME_count` (B,) int32"""
    radars: tuple[RadarSpec, ...] = ()
    """radars, by name: `NAME` (B, M, 4) float32 depth, azimuth, altitude, velocity; `NAME_count`"""
    gnss: GnssSpec | None = None
    """`gnss` (B, 3) float64 latitude, longitude [deg], altitude [m]"""
    imu: ImuSpec | None = None
    """`imu` (B, 7) float64 specific force [m/s^2], turn rates [rad/s], compass [rad]"""
    speedometer: bool = False
    """signed speed along the ego's axis: `speedometer` (B,) float32 [m/s]"""
    collision: bool = False
    """`collision` (B,) int32 Struck, `collision_id` (B,) int32, `collision_impulse` (B, 2) [N s]"""
    lane_invasion: bool = False
    """marks crossed on the left and the right: `lane_invasion` (B, 2) uint8 MarkType"""
    birdview_actors: bool = False
    """the bird's-eye raster has channels for vehicles, walkers and stop lines too"""
    roach: bool = False
    """Roach's bird's-eye view with its history: `roach` (B, 15, 192, 192) uint8"""
    state_actors: int = 0
    """room for so many of the nearest actors in the state vector"""
    vectors: VectorSpec | None = None
    """the scene as vectors: `lanes`, `lanes_mask`, `actors`, `actors_mask`"""
    target_point: bool = False
    """the next far waypoint in the ego frame: `target_point` (B, 2) float32 [m]"""
    previous_action: bool = False
    """what the last step did, whoever drove: `previous_action` (B, 2) float32, steer as it was
    commanded, throttle minus brake as the actuators have it"""
    standing: bool = False
    """what a driver remembers and no picture shows: `standing` (B, 2) float32, for how long the ego
    has stood still [s], at most 4, and 1 once it has halted at the stop sign before it, else 0"""

    def __post_init__(self) -> None:
        for name, kind in (("cameras", CameraSpec), ("lidars", LidarSpec), ("radars", RadarSpec)):
            _check_kinds(name, getattr(self, name), kind)
        if not 0 <= self.state_actors <= 1024:
            raise ValueError(f"state_actors must be in [0, 1024], got {self.state_actors}")
        if self.birdview_actors and not self.birdview:
            raise ValueError("birdview_actors adds to the birdview; ask for birdview=True too")
        if self.state_actors and not self.state:
            raise ValueError("state_actors adds to the state; ask for state=True too")

    @property
    def history(self) -> float:
        """For how long a world must remember for these sensors: `World(history=...)` [s]."""
        return 1.5 if self.roach else 0.0
