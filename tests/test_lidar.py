"""The lidar against closed geometry, and against a tracer that tries every beam on everything."""

import math
from dataclasses import replace

import numpy as np
import pytest
from beams import AWAY, Box, boxes_around

from drive_il.actors import ActorKind
from drive_il.datatypes import Array, Floats, Scene
from drive_il.maps.land import PrismKind
from drive_il.maps.library import load
from drive_il.maps.scenery import scenery
from drive_il.sensor_specs import LidarSpec
from drive_il.sensors.lidar import Lidar, Points
from drive_il.sensors.tags import OF_PRISM

MAP = load("alder")
PRISMS = scenery(MAP)
LOSSLESS = LidarSpec(dropoff_general_rate=0.0, dropoff_intensity_limit=0.0)
WALL: Box = (20.0, 0.0, 0.0, 0.2, 200.0, 30.0)


def scan(spec: LidarSpec, scene: Scene) -> Points:
    return Lidar(MAP, spec).scan(scene, np.arange(scene.n_rows))


def cloud(spec: LidarSpec, scene: Scene) -> Floats:
    """The points of the first row, (N, 4) float64."""
    found = scan(spec, scene)
    return found.points[0, : found.n_points[0].sum()].astype(float)


def test_a_wall_is_met_in_one_plane() -> None:
    for heading in (0.0, 0.7, -2.9):
        points = np.concatenate(
            [cloud(LOSSLESS, boxes_around([WALL], heading=heading, step=step)) for step in (0, 1)]
        )
        on_wall = points[points[:, 2] > -2.49]
        assert len(on_wall) > 5_000
        np.testing.assert_allclose(on_wall[:, 0], 19.9, atol=1e-5)
        assert points[:, 0].max() < 19.91
        assert on_wall[:, 1].min() < -70
        assert on_wall[:, 1].max() > 70


def test_the_beam_straight_ahead_meets_the_corner_of_a_box() -> None:
    # In step 1 each laser's first beam looks exactly ahead.
    scene = boxes_around([(15.0, 0.0, math.pi / 4, 2.0, 2.0, 3.0)], step=1)
    found = scan(LOSSLESS, scene)
    first = np.cumsum(found.n_points[0])[20] - found.n_points[0, 20]
    x, y, _, _ = found.points[0, first]
    assert (x, y) == pytest.approx((15.0 - math.sqrt(2.0), 0.0), abs=1e-5)
    points = cloud(LOSSLESS, scene)
    near = points[points[:, 2] > -2.49]
    assert np.hypot(near[:, 0], near[:, 1]).min() == pytest.approx(15.0 - math.sqrt(2.0), abs=1e-5)


def test_the_roof_of_a_car_below_is_seen() -> None:
    points = cloud(LOSSLESS, boxes_around([(0.0, 6.0, 0.0, 4.9, 2.1, 1.5)]))
    roof = points[(points[:, 2] > -1.001) & (points[:, 2] < -0.999)]
    # The roof begins 4.95 m away, where the lidar 1 m above it looks down by 11.4 degrees.
    assert len(roof) > 20
    assert roof[:, 1].min() > 4.9499
    assert roof[:, 1].max() < 7.0501


def test_a_walker_is_a_round_pillar() -> None:
    points = cloud(LOSSLESS, boxes_around([], [(6.0, 1.0)]))
    met = points[points[:, 2] > -2.49]
    away = np.hypot(met[:, 0] - 6.0, met[:, 1] - 1.0)
    on_top = met[:, 2] > 1.8 - 2.5 - 1e-5
    assert on_top.sum() > 5
    assert (~on_top).sum() > 300
    np.testing.assert_allclose(away[~on_top], 0.3, atol=1e-5)
    assert away[on_top].max() < 0.3
    assert met[:, 2].max() < 1.8 - 2.5 + 1e-5


def test_the_ground_answers_at_height_over_sine_of_the_elevation() -> None:
    found = scan(LOSSLESS, boxes_around([]))
    elevations = np.radians(np.linspace(10.0, -30.0, 64))
    points = found.points[0, : found.n_points[0].sum()].astype(float)
    distance = np.linalg.norm(points[:, :3], axis=1)
    at = 0
    for elevation, n in zip(elevations, found.n_points[0], strict=True):
        expected = 2.5 / math.sin(-elevation) if elevation < 0 else math.inf
        assert n == (469 if expected <= 85.0 else 0)
        np.testing.assert_allclose(distance[at : at + n], expected, rtol=1e-6)
        at += n
    np.testing.assert_allclose(points[:, 2], -2.5, atol=1e-5)
    assert not found.points[0, at:].any()


def test_two_half_sweeps_make_an_even_circle_clockwise_from_the_rear() -> None:
    spec = replace(LOSSLESS, channels=1, upper_fov=-20.0, lower_fov=-20.0, points_per_second=9_380)
    angles = []
    for step in (6, 7):
        points = cloud(spec, boxes_around([], step=step, heading=1.0))
        angles.append(np.arctan2(points[:, 1], points[:, 0]))
    assert angles[0][0] == pytest.approx(math.pi, abs=1e-6) or angles[0][0] == pytest.approx(
        -math.pi, abs=1e-6
    )
    assert (angles[0][1:] > 0).all()  # the left half first
    assert angles[1][0] == pytest.approx(0.0, abs=1e-6)
    both = np.unwrap(np.concatenate(angles))
    np.testing.assert_allclose(np.diff(both), -2 * math.pi / 938, atol=1e-6)


def test_a_narrow_lidar_keeps_to_its_field_and_goes_on_where_it_ended() -> None:
    spec = replace(
        LOSSLESS,
        channels=1,
        upper_fov=-20.0,
        lower_fov=-20.0,
        points_per_second=2_000,
        horizontal_fov=90.0,
        rotation_frequency=7.0,
    )
    angles = []
    for step in range(20):
        points = cloud(spec, boxes_around([], step=step))
        angles.append(np.arctan2(points[:, 1], points[:, 0]))
    turned = math.pi / 4 - np.concatenate(angles)
    assert turned.min() > -1e-6
    assert turned.max() < math.pi / 2 + 1e-6
    delta = 7.0 * 0.05 * math.pi / 2 / 100
    steps = np.mod(np.diff(turned), math.pi / 2)
    np.testing.assert_allclose(steps, delta, atol=1e-6)


def test_intensity_fades_with_the_distance() -> None:
    spec = replace(LOSSLESS, atmosphere_attenuation_rate=0.01)
    points = cloud(spec, boxes_around([WALL], step=1))
    distance = np.linalg.norm(points[:, :3], axis=1)
    np.testing.assert_allclose(points[:, 3], np.exp(-0.01 * distance), rtol=1e-6)


def test_points_are_lost_at_the_stated_rates() -> None:
    spec = LidarSpec(
        channels=32, atmosphere_attenuation_rate=0.02, dropoff_general_rate=0.3, range=60.0
    )
    scene = boxes_around([WALL], n_rows=40, seed=np.arange(40), step=1)
    ideal = replace(spec, dropoff_general_rate=0.0, dropoff_intensity_limit=0.0)
    before, after = scan(ideal, scene), scan(spec, scene)
    strong_before, weak_before = _by_strength(before)
    strong_after, weak_after = _by_strength(after)
    # Above the limit only the general rate counts. A count is off by 5 standard deviations
    # with probability < 1e-6.
    n, kept = len(strong_before), 0.7
    assert abs(len(strong_after) - n * kept) < 5.0 * math.sqrt(n * kept * (1 - kept))
    chance = kept * (0.6 + 0.4 / 0.8 * weak_before)
    spread = math.sqrt((chance * (1 - chance)).sum())
    assert abs(len(weak_after) - chance.sum()) < 5.0 * spread
    # Which beams are lost changes with the step: as many are lost in both as by chance.
    assert (after.n_points.sum(1) > 0).all()
    assert len(np.unique(after.n_points.sum(1))) > 20


def _by_strength(found: Points) -> tuple[Floats, Floats]:
    intensity = np.concatenate(
        [found.points[k, : n.sum(), 3] for k, n in enumerate(found.n_points)]
    ).astype(float)
    return intensity[intensity > 0.8], intensity[intensity <= 0.8]


def test_noise_moves_points_along_their_beams() -> None:
    scene = boxes_around([WALL], step=1)
    ideal, noisy = cloud(LOSSLESS, scene), cloud(replace(LOSSLESS, noise_stddev=0.05), scene)
    assert len(ideal) == len(noisy)
    distance = np.linalg.norm(ideal[:, :3], axis=1)
    np.testing.assert_allclose(
        np.cross(ideal[:, :3], noisy[:, :3]) / distance[:, None] ** 2, 0.0, atol=1e-6
    )
    error = np.linalg.norm(noisy[:, :3], axis=1) - distance
    n = len(error)
    # Mean and standard deviation each off by 5 of their own deviations: < 1e-6.
    assert abs(error.mean()) < 5 * 0.05 / math.sqrt(n)
    assert abs(error.std() - 0.05) < 5 * 0.05 / math.sqrt(2 * n)
    assert (noisy[:, 3] == ideal[:, 3]).all()


@pytest.mark.parametrize("kind", list(ActorKind))
def test_a_vehicle_has_its_id_and_carlas_tag(kind: ActorKind) -> None:
    scene = boxes_around([(8.0, 1.0, 0.3, 4.0, 2.0, 3.0)], [(-5.0, 2.0)])
    scene.actors.vehicles["kind"][:, 1] = int(kind)
    found = scan(LidarSpec(kind="semantic"), scene)
    objects = found.objects[0, : found.n_points[0].sum()]
    tag = {"CAR": 14, "VAN": 14, "TRUCK": 15, "BUS": 16, "MOTORCYCLE": 18, "BICYCLE": 19}
    expected = {(0, 10), (2, tag.get(kind.name, 21)), (101, 12)}
    assert {tuple(pair) for pair in objects.tolist()} == expected
    assert not found.objects[0, found.n_points[0].sum() :].any()


def test_egos_empty_slots_and_other_levels_are_not_seen() -> None:
    around = boxes_around([(8.0, 1.0, 0.0, 4.0, 2.0, 3.0), (20.0, 1.0, 0.0, 4.0, 2.0, 3.0)])
    alone = scan(LOSSLESS, boxes_around([]))
    around.actors.vehicles["id"][:, 1] = 0
    around.actors.vehicles["z"][:, 2] = 8.0  # on a bridge
    found = scan(LOSSLESS, around)
    assert found.points.tobytes() == alone.points.tobytes()
    around.actors.vehicles["z"][:, 2] = 2.0  # up a hill
    assert scan(LOSSLESS, around).points.tobytes() != alone.points.tobytes()


class Tracer:
    """Meets every beam with every prism, box and pillar; slow, and nothing shared."""

    def __init__(self, scene: Scene, row: int, height: float) -> None:
        prisms = PRISMS
        ego = scene.ego[row]
        near = np.hypot(prisms["x"] - ego["x"], prisms["y"] - ego["y"]) < 110.0
        self.shapes = []
        for prism in prisms[near]:
            tag = OF_PRISM[PrismKind(prism["kind"])]
            shape = "ellipsoid" if prism["kind"] == PrismKind.CROWN else "box"
            self.shapes.append((shape, prism, float(prism["z"]), tag, 0))
        for k, vehicle in enumerate(scene.actors.vehicles[row]):
            if k != scene.actors.slot[row]:
                self.shapes.append(("box", vehicle, 0.0, 14, int(vehicle["id"])))
        self.walkers = scene.actors.walkers[row]
        self.origin = np.array([ego["x"], ego["y"], height])

    def trace(self, directions: Floats) -> tuple[Floats, Array, Floats]:
        """Distance, (id, tag) and cosine of incidence per beam; tag -1 is the ground."""
        best = np.where(directions[:, 2] < 0, -self.origin[2] / directions[:, 2], np.inf)
        what = np.tile([0, -1], (len(directions), 1))
        cosine = -directions[:, 2]
        for shape, item, low, tag, number in self.shapes:
            half = np.array([item["length"], item["width"], item["height"]]) / 2.0
            o, d = self._local(item, low + half[2], directions)
            t, normal = (_slabs if shape == "box" else _sphere)(o, d, half)
            self._keep(t, normal, d, (number, tag), best, what, cosine)
        for walker in self.walkers:
            o, d = self._local(walker, 0.0, directions)
            t, normal = _pillar(o, d, float(walker["radius"]), float(walker["height"]))
            self._keep(t, normal, d, (int(walker["id"]), 12), best, what, cosine)
        return best, what, cosine

    def _local(self, item: Array, middle: float, directions: Floats) -> tuple[Floats, Floats]:
        cos, sin = np.cos(item["heading"]), np.sin(item["heading"])
        turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1.0]])
        return turn @ (self.origin - [item["x"], item["y"], middle]), directions @ turn.T

    @staticmethod
    def _keep(
        t: Floats,
        normal: Floats,
        d: Floats,
        who: tuple[int, int],
        best: Floats,
        what: Array,
        cosine: Floats,
    ) -> None:
        nearer = (t > 0.0) & (t < best)
        best[nearer] = t[nearer]
        what[nearer] = who
        cosine[nearer] = np.abs((normal * d).sum(axis=1))[nearer]


def _slabs(o: Floats, d: Floats, half: Floats) -> tuple[Floats, Floats]:
    a, b = (-half - o) / d, (half - o) / d
    enter, leave = np.minimum(a, b), np.maximum(a, b)
    t = enter.max(axis=1)
    axis = enter.argmax(axis=1)
    return np.where(t <= leave.min(axis=1), t, np.inf), np.eye(3)[axis]


def _sphere(o: Floats, d: Floats, half: Floats) -> tuple[Floats, Floats]:
    oo, dd = o / half, d / half
    a, b, c = (dd * dd).sum(1), dd @ oo, oo @ oo - 1.0
    root = np.sqrt(np.maximum(b * b - a * c, 0.0))
    t = np.where(b * b >= a * c, (-b - root) / a, np.inf)
    normal = (oo + np.where(np.isfinite(t), t, 0.0)[:, None] * dd) / half
    return t, normal / np.linalg.norm(normal, axis=1, keepdims=True)


def _pillar(o: Floats, d: Floats, radius: float, height: float) -> tuple[Floats, Floats]:
    a, b = (d[:, :2] ** 2).sum(1), d[:, :2] @ o[:2]
    root = b * b - a * (o[:2] @ o[:2] - radius**2)
    t = np.where(root >= 0, (-b - np.sqrt(np.maximum(root, 0.0))) / a, np.inf)
    z = o[2] + np.where(np.isfinite(t), t, 0.0) * d[:, 2]
    t = np.where((z >= 0) & (z <= height), t, np.inf)
    normal = o + np.where(np.isfinite(t), t, 0.0)[:, None] * d
    normal[:, 2] = 0.0
    wall = normal / np.linalg.norm(normal, axis=1, keepdims=True)
    over = (height - o[2]) / d[:, 2]
    xy = o[:2] + over[:, None] * d[:, :2]
    on_top = (over > 0) & ((xy**2).sum(1) <= radius**2) & (over < t)
    return np.where(on_top, over, t), np.where(on_top[:, None], [0.0, 0.0, 1.0], wall)


def _in_town(n_rows: int) -> Scene:
    """Egos on driving lanes of the map among seven vehicles and three walkers each."""
    lane = MAP.lanes[MAP.lanes["type"] == 1]
    boxes: list[Box] = [
        (9.0 * k - 30.0, 3.0 * (k % 3) - 3.0, 0.2 * k, 4.5, 2.0, 1.6) for k in (0, 1, 2, 4, 5, 6, 7)
    ]
    scene = boxes_around(
        boxes,
        [(7.0, -3.0), (-4.0, 5.0), (15.0, 0.5)],
        0.0,
        n_rows,
        np.arange(n_rows),
        np.arange(n_rows) * 7,
    )
    for row in range(n_rows):
        chosen = lane[row * 17 % len(lane)]
        place = MAP.points[chosen["first"] + chosen["count"] // 2]
        cos, sin = np.cos(place["heading"]), np.sin(place["heading"])
        for items in (scene.actors.vehicles[row], scene.actors.walkers[row]):
            x, y = items["x"] - AWAY, items["y"] - AWAY
            items["x"] = place["x"] + cos * x - sin * y
            items["y"] = place["y"] + sin * x + cos * y
            items["heading"] += place["heading"]
        scene.ego[row] = scene.actors.vehicles[row, 0]
    return scene


def axes(ego_heading: float, spec: LidarSpec) -> Floats:
    """Columns are the sensor's x, y and z axes in the world, (3, 3)."""
    yaw, pitch, roll = ego_heading + spec.yaw, spec.pitch, spec.roll
    about_z = [[math.cos(yaw), -math.sin(yaw), 0], [math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]]
    nose_up = [
        [math.cos(pitch), 0, -math.sin(pitch)],
        [0, 1, 0],
        [math.sin(pitch), 0, math.cos(pitch)],
    ]
    right_down = [
        [1, 0, 0],
        [0, math.cos(roll), -math.sin(roll)],
        [0, math.sin(roll), math.cos(roll)],
    ]
    return np.array(about_z) @ np.array(nose_up) @ np.array(right_down)


@pytest.mark.parametrize("pose", [(0.0, 0.0, 0.0), (1.1, 0.0, 0.0), (-0.6, 0.15, -0.1)])
def test_in_town_every_beam_meets_what_a_plain_tracer_meets(
    pose: tuple[float, float, float],
) -> None:
    yaw, pitch, roll = pose
    spec = LidarSpec(
        kind="semantic", channels=32, points_per_second=64_000, yaw=yaw, pitch=pitch, roll=roll
    )
    scene = _in_town(6)
    found = scan(spec, scene)
    tags = set()
    for row in range(6):
        n = found.n_points[row].sum()
        local = found.points[row, :n, :3].astype(float)
        world = local @ axes(scene.ego["heading"][row], spec).T
        distance = np.linalg.norm(world, axis=1)
        t, what, cosine = Tracer(scene, row, 2.5).trace(world / distance[:, None])
        # A beam that grazes an edge may fall on either side of it: directions are float32.
        same = np.abs(t - distance) < 1e-3 * (1.0 + distance)
        assert (~same).mean() < 1e-3
        ground = what[:, 1] == -1
        objects = found.objects[row, :n]
        assert (objects[same & ~ground] == what[same & ~ground]).mean() > 0.999
        assert (objects[same & ground, 0] == 0).all()
        close = np.abs(found.points[row, :n, 3] - cosine)[same] < 2e-3
        assert close.mean() > 0.999
        _check_none_is_missing(scene, row, spec, n)
        tags |= set(objects[:, 1].tolist())
    assert {1, 3, 9, 12, 14} <= tags  # roads, houses, trees, walkers, cars


def _check_none_is_missing(scene: Scene, row: int, spec: LidarSpec, n_points: int) -> None:
    """Counts what the plain tracer meets within range over the regular fan of beams."""
    turned = (scene.step[row] * 0.5 % 1.0) * 2 * np.pi + np.pi * np.arange(100) / 100
    elevation = np.radians(np.linspace(spec.upper_fov, spec.lower_fov, spec.channels))
    e, a = (grid.ravel() for grid in np.meshgrid(elevation, np.pi - turned, indexing="ij"))
    fan = np.stack((np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)), axis=1)
    directions = fan @ axes(scene.ego["heading"][row], spec).T
    t, _, _ = Tracer(scene, row, spec.z).trace(directions)
    assert abs(int((t <= spec.range).sum()) - n_points) <= 5  # again, beams that graze an edge


def test_a_hair_of_roll_changes_next_to_nothing() -> None:
    scene = _in_town(4)
    spec = replace(LOSSLESS, channels=24, points_per_second=100_000)
    level, rolled = scan(spec, scene), scan(replace(spec, roll=1e-9), scene)
    for row in range(4):
        n = level.n_points[row].sum()
        assert abs(int(rolled.n_points[row].sum()) - int(n)) <= 3
        if (rolled.n_points[row] == level.n_points[row]).all():
            apart = np.abs(rolled.points[row, :n] - level.points[row, :n]).max(axis=1)
            assert (apart < 1e-3).mean() > 0.999


def test_a_row_depends_on_its_own_scene_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = replace(LidarSpec(), noise_stddev=0.02, points_per_second=200_000)
    lidar, scene = Lidar(MAP, spec), _in_town(8)
    together = lidar.scan(scene, np.arange(8))
    backwards = lidar.scan(scene, np.arange(8)[::-1])
    monkeypatch.setenv("DRIVE_IL_THREADS", "2")
    threaded = lidar.scan(scene, np.arange(8))
    for row in range(8):
        alone = lidar.scan(scene.take(np.array([row])), np.arange(1))
        for a, b, c, d in zip(together, backwards, threaded, alone, strict=True):
            assert a[row].tobytes() == b[7 - row].tobytes() == c[row].tobytes() == d[0].tobytes()


def test_two_lidars_lose_different_points() -> None:
    scene = boxes_around([WALL])
    one, two = (scan(LidarSpec(name=name), scene) for name in ("roof", "bumper"))
    assert one.points.tobytes() != two.points.tobytes()
    again = scan(LidarSpec(name="roof"), scene)
    assert one.points.tobytes() == again.points.tobytes()


def test_bad_lidars_are_refused() -> None:
    with pytest.raises(ValueError, match="kind must be ray_cast or semantic, got 'sonar'"):
        LidarSpec(kind="sonar")
    with pytest.raises(ValueError, match=r"in this order, got 10.0 and -30.0"):
        LidarSpec(lower_fov=10.0, upper_fov=-30.0)
    with pytest.raises(ValueError, match=r"dropoff_general_rate must be in \[0, 1\], got 45"):
        LidarSpec(dropoff_general_rate=45)
    with pytest.raises(ValueError, match="needed are at least 640"):
        scan(LidarSpec(points_per_second=100), boxes_around([]))
