"""What the weather does to a picture: colours of ground and sky, haze, fog, night, sun.

All of it is looked up: one `LIGHT` record and a few tables per weather. A colour is one
int64 with red, blue and green in fields of 16 bits (8 of them used; red lowest), so that
mixing two colours is one multiplication for all three, and so that many pixels at once are
worked on as words of 32 bits: red and blue in one, green in the other. How strong the grain of
a surface is stands above green. The sun's azimuth is CARLA's and runs clockwise.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import types as nt

from drive_il import kernels
from drive_il.datatypes import WEATHER, Floats, Ints, Records
from drive_il.sensors.inks import color_of, ink, inked, over_ink
from drive_il.sensors.lens import BLOCK, at
from drive_il.sensors.surfaces import N_SURFACES, Ground
from drive_il.sensors.tags import GROUND_TAGS

MASK = (0xFF << 32) | (0xFF << 16) | 0xFF
"""the 8 bits in use of every field"""
GRAIN_SHIFT = 48
"""where the strength of the grain begins, in a colour of the ground"""
_WHITE, _YELLOW = int(Ground.WHITE), int(Ground.YELLOW)
FAR = 1000.0
"""depth of the sky [m]"""
N_CLASSES = 13
N_SKY = 256
SKY_SCALE = 96.0
"""steps of the sky table per unit of tan(elevation)"""
N_HAZE = 128
HAZE_LENGTH = 32.0
"""[m]: the haze table is even in t / (t + this)"""
CLOUD_SIZE = 512
NOISE_SIZE = 256

LIGHT = np.dtype(
    [
        ("sun_x", "f8"),  # unit vector to the sun
        ("sun_y", "f8"),
        ("sun_z", "f8"),
        ("ambient", "f8"),  # share of the light that comes from everywhere
        ("glow", "f8"),  # strength of the sun's halo, 0 when hidden
        ("sun_color", "i8"),  # packed
        ("haze_color", "i8"),  # packed: what distance fades into
        ("tint_r", "f8"),  # colour of daylight
        ("tint_g", "f8"),
        ("tint_b", "f8"),
        ("wind", "f8"),  # where the clouds have drifted to, in texels
        ("clear", "i8"),  # _DENSE times the cloud texture's value where clouds begin
    ]
)
"""The light of one weather."""

# Albedo of each ground class, how it takes wetness, and how strong its grain is.
_ALBEDO = np.array(
    [
        (92, 122, 62),  # grass
        (88, 89, 93),  # road
        (112, 108, 102),  # shoulder
        (160, 156, 150),  # sidewalk
        (80, 82, 90),  # parking
        (104, 114, 70),  # verge
        (122, 84, 76),  # biking
        (196, 194, 188),  # kerb
        (236, 236, 232),
        (226, 178, 58),
        (66, 96, 190),
        (60, 150, 80),
        (190, 60, 54),
    ],
    np.float64,
)
_DARKENS = np.array((0.2, 0.5, 0.45, 0.35, 0.5, 0.25, 0.4, 0.3, 0.25, 0.25, 0.3, 0.3, 0.3))
_GRAIN = np.array((6, 2, 3, 2, 2, 6, 2, 1, 1, 1, 1, 1, 1), np.int64)

PALETTE, TEXELS, SKY, CLOUD = range(4)
"""Rows of the book of one weather, (N_BOOK, 256) int64: colour of each ground class (with
its grain), colour of each texel code of the coarser ground maps, and colours of the sky and
of the clouds by tan(elevation)."""
N_BOOK = 4
_DENSE, _THICKEST = 5, 235
"""how much denser clouds are per step of their texture, and at most, in 1/256"""

TEXTURES = nt.Tuple(
    (
        nt.uint8[::1],
        nt.int8[::1],
        nt.float64[:, ::1],
        nt.float64[::1],
        nt.int64[::1],
        nt.uint8[::1],
        nt.float64[:, ::1],
    )
)
"""Clouds, grain; of the ground classes: albedo, how wetness darkens them, grain, tag; how
the colours of the sky and of the clouds change with tan(elevation)."""


class Lit(NamedTuple):
    """The light of one weather, made once.

    Attributes:
        weather: (1,) WEATHER.
        light: (1,) LIGHT.
        book: see PALETTE.
        haze: see `air`, (2, N_HAZE + 1).
    """

    weather: Records
    light: Records
    book: Ints
    haze: Floats


LIT = nt.NamedTuple(
    (
        kernels.record(WEATHER)[::1],
        kernels.record(LIGHT)[::1],
        nt.int64[:, ::1],
        nt.float64[:, ::1],
    ),
    Lit,
)
"""Numba type of Lit."""


@cache
def textures() -> tuple[Ints, Ints, Floats, Floats, Ints, Ints, Floats]:
    """Returns the fixed textures: clouds (512 * 512,) uint8, grain (256 * 256,) int8, and albedo.

    Both textures repeat without a seam. They are drawn from fixed seeds.
    """
    steps = np.arange(N_SKY)
    rise = 1.0 - np.exp(-np.stack((2.6 * steps / SKY_SCALE, steps / 9.0)))
    return _clouds(), _grain(), _ALBEDO, _DARKENS, _GRAIN, GROUND_TAGS, rise


def _smooth_noise(rng: np.random.Generator, size: int, waves: int) -> Floats:
    """Periodic noise with `waves` cells along each side, cubic between them, (size, size)."""
    knots = rng.random((waves, waves))
    at = np.arange(size) * waves / size
    low = at.astype(np.int64)
    u = at - low
    u = u * u * (3 - 2 * u)
    high = (low + 1) % waves
    rows = knots[low] * (1 - u)[:, None] + knots[high] * u[:, None]
    return rows[:, low] * (1 - u) + rows[:, high] * u


def _clouds() -> Ints:
    rng = np.random.default_rng(11)
    total = np.zeros((CLOUD_SIZE, CLOUD_SIZE))
    for octave in range(6):
        total += _smooth_noise(rng, CLOUD_SIZE, 6 * 2**octave) * 0.55**octave
    ranks = total.ravel().argsort().argsort().reshape(total.shape)
    return (ranks * 256 // total.size).astype(np.uint8).ravel()


def _grain() -> Ints:
    rng = np.random.default_rng(12)
    fine = rng.random((NOISE_SIZE, NOISE_SIZE)) - 0.5
    coarse = _smooth_noise(rng, NOISE_SIZE, 32) + _smooth_noise(rng, NOISE_SIZE, 64) - 1.0
    return np.clip(np.round((0.6 * fine + 0.6 * coarse) * 127), -127, 127).astype(np.int8).ravel()


@kernels.inner
def pack(r: float, g: float, b: float) -> int:
    """Returns one colour as an int64; r, g, b in [0, 255], brought into range."""
    red = int(min(max(r, 0.0), 255.0) + 0.5)
    green = int(min(max(g, 0.0), 255.0) + 0.5)
    return (green << 32) | (int(min(max(b, 0.0), 255.0) + 0.5) << 16) | red


@kernels.inner
def mix(a: int, b: int, part: int) -> int:
    """Returns colour a with `part` of 256 of colour b; a's grain is kept."""
    mixed = ((a & MASK) * (256 - part) + (b & MASK) * part) >> 8
    return (mixed & MASK) | ((a >> GRAIN_SHIFT) << GRAIN_SHIFT)


@kernels.inner
def halves(words: Ints, row: int, j: int) -> tuple[Any, Any]:
    """Returns the colour of pixel j in a row of scratch as words of 32 bits.

    Returns:
        Red and blue; green, with what lies above it.
    """
    first = np.uint64(2) * at(row, j)
    return np.uint32(words[first]), np.uint32(words[first + np.uint64(1)])


@kernels.inner
def blend(a: Any, a_part: Any, b: Any, b_part: Any) -> Any:
    """Returns (a * a_part + b * b_part) / 256 of words as `halves` gives them; parts <= 257."""
    total = np.uint32(np.uint32(a * a_part) + np.uint32(b * b_part))
    return np.uint32(np.uint32(total >> np.uint32(8)) & np.uint32(0xFF00FF))


@kernels.inner
def scale(color: int, part: int) -> int:
    """Returns a colour times part / 256; part in [0, 4095], saturating at white."""
    c = color & MASK
    green = min(((c >> 32) * part) >> 8, 255)
    blue = min((((c >> 16) & 0xFF) * part) >> 8, 255)
    return (green << 32) | (blue << 16) | min(((c & 0xFF) * part) >> 8, 255)


@kernels.inner
def through_air(color: int, haze_color: int, arrives: float, haze: float) -> int:
    """Returns a colour as seen through air: shares in [0, 1] of its light and of haze."""
    a, h = int(arrives * 256.0 + 0.5), int(haze * 256.0 + 0.5)
    return (((color & MASK) * a + haze_color * h) >> 8) & MASK


@kernels.inner
def air(haze: Floats, t: float) -> tuple[float, float]:
    """Returns which share of light arrives from a distance t [m], and the share of haze."""
    at = t / (t + HAZE_LENGTH) * (N_HAZE - 1)
    k = int(at)
    u = at - k
    return (
        haze[0, k] + u * (haze[0, k + 1] - haze[0, k]),
        haze[1, k] + u * (haze[1, k + 1] - haze[1, k]),
    )


@kernels.inner
def _ramp(low: float, high: float, x: float) -> float:
    u = min(max((x - low) / (high - low), 0.0), 1.0)
    return u * u * (3.0 - 2.0 * u)


@kernels.inner
def _sky_colors(
    light: Any, book: Ints, weather: Any, rise: Floats, day: float, dusk: float
) -> None:
    """Fills the sky table (blue above, pale at the horizon) and the colour of clouds."""
    grey = _ramp(30.0, 100.0, weather.cloudiness)
    wet = min(weather.precipitation / 100.0, 1.0)
    fog = min(weather.fog_density / 100.0, 1.0)
    cover = max(0.75 * grey, 0.6 * wet)
    bright = (1.0 - 0.3 * cover) * (0.06 + 0.94 * day)
    for k in range(N_SKY):
        up = rise[0, k]
        red = 205.0 - 125.0 * up + 45.0 * dusk * (1.0 - up)
        green = 220.0 - 85.0 * up - 25.0 * dusk * (1.0 - up)
        blue = 232.0 - 27.0 * up - 75.0 * dusk * (1.0 - up)
        red += cover * (188.0 - red)
        green += cover * (191.0 - green)
        blue += cover * (196.0 - blue)
        veil = fog * math.exp(-1.2 * k / SKY_SCALE * (1.1 - fog)) if fog > 0.0 else 0.0
        red += veil * (200.0 - red)
        green += veil * (204.0 - green)
        blue += veil * (208.0 - blue)
        night_blue = 14.0 * (1.0 - day)
        book[SKY, k] = pack(red * bright, green * bright, blue * bright + night_blue)
        white = bright * (1.0 - 0.22 * cover - 0.25 * wet)
        plain = pack(
            246.0 * white + 10.0 * dusk,
            (246.0 - 50.0 * dusk) * white,
            (248.0 - 90.0 * dusk) * white + night_blue,
        )
        # Clouds dissolve into the haze just above the horizon and into fog.
        book[CLOUD, k] = mix(book[SKY, k], plain, int(256.0 * rise[1, k] * (1.0 - fog)))
    light.haze_color = book[SKY, 0] & MASK


@kernels.inner
def _ground_colors(light: Any, book: Ints, weather: Any, fixed: Any) -> None:
    albedo, darkens, grain = fixed[2], fixed[3], fixed[4]
    wet = min(max(weather.wetness, weather.precipitation_deposits) / 100.0, 1.0)
    for k in range(N_CLASSES):
        keep = 1.0 - darkens[k] * wet
        plain = pack(
            albedo[k, 0] * keep * light.tint_r,
            albedo[k, 1] * keep * light.tint_g,
            albedo[k, 2] * keep * light.tint_b,
        )
        # A wet surface mirrors a little of the sky.
        plain = mix(plain, book[SKY, 20], int(70.0 * wet * darkens[k]))
        book[PALETTE, k] = plain | (grain[k] << GRAIN_SHIFT)
    for code in range(256):
        level = (code >> 4) / 15.0
        paint = book[PALETTE, _YELLOW if code & 8 else _WHITE]
        surface = book[PALETTE, code & (N_SURFACES - 1)]
        book[TEXELS, code] = mix(surface, paint, int(256.0 * level * level))


@kernels.inner
def _haze(haze: Floats, weather: Any, day: float) -> None:
    """Fills the haze table: fog begins at fog_distance, headlights reach some 40 m at night."""
    density = min(weather.fog_density / 100.0, 1.0)
    thick = 0.12 * density * density + 0.004 * min(weather.precipitation / 100.0, 1.0)
    for k in range(N_HAZE + 1):
        part = min(k / (N_HAZE - 1), 0.999999)
        t = HAZE_LENGTH * part / (1.0 - part)
        clear = math.exp(-t / 450.0 - thick * max(t - weather.fog_distance, 0.0))
        lamps = (1.0 - day) * 0.62 / (1.0 + (t / 16.0) ** 2)
        haze[0, k] = clear * min(0.1 + 0.9 * day + lamps, 1.0)
        haze[1, k] = 1.0 - clear


@kernels.inner
def set_light(light: Any, book: Ints, haze: Floats, weather: Any, fixed: Any) -> None:
    """Fills a LIGHT record and its tables for one weather.

    Args:
        light: LIGHT record, overwritten.
        book: see PALETTE, overwritten.
        haze: by distance, share of light that arrives and of haze, (2, N_HAZE + 1), overwritten.
        weather: WEATHER record.
        fixed: see TEXTURES.
    """
    altitude = math.radians(weather.sun_altitude_angle)
    azimuth = -math.radians(weather.sun_azimuth_angle)
    light.sun_x = math.cos(altitude) * math.cos(azimuth)
    light.sun_y = math.cos(altitude) * math.sin(azimuth)
    light.sun_z = math.sin(altitude)
    day = _ramp(-8.0, 12.0, weather.sun_altitude_angle)
    dusk = day * (1.0 - _ramp(4.0, 28.0, weather.sun_altitude_angle))
    hidden = max(_ramp(40.0, 95.0, weather.cloudiness), min(weather.fog_density / 60.0, 1.0))
    hidden = max(hidden, min(weather.precipitation / 60.0, 1.0))
    light.glow = (1.0 - hidden) * _ramp(-4.0, 2.0, weather.sun_altitude_angle)
    light.ambient = 0.55 + 0.35 * max(hidden, 1.0 - day)
    light.sun_color = pack(255.0, 246.0 - 60.0 * dusk, 222.0 - 120.0 * dusk)
    dim = 1.0 - 0.18 * hidden
    light.tint_r = dim * (1.0 + 0.06 * dusk)
    light.tint_g = dim * (1.0 - 0.08 * dusk)
    light.tint_b = dim * (1.0 - 0.2 * dusk)
    light.wind = weather.wind_intensity * 1.7
    threshold = 256.0 * (1.0 - 0.95 * min(weather.cloudiness / 100.0, 1.0))
    light.clear = math.ceil(_DENSE * threshold - 1e-9)
    _sky_colors(light, book, weather, fixed[6], day, dusk)
    _ground_colors(light, book, weather, fixed)
    _haze(haze, weather, day)


@kernels.inner
def same_weather(a: Any, b: Any) -> bool:
    """Whether two WEATHER records are equal."""
    return (
        a.cloudiness == b.cloudiness
        and a.precipitation == b.precipitation
        and a.precipitation_deposits == b.precipitation_deposits
        and a.wind_intensity == b.wind_intensity
        and a.sun_azimuth_angle == b.sun_azimuth_angle
        and a.sun_altitude_angle == b.sun_altitude_angle
        and a.fog_density == b.fog_density
        and a.fog_distance == b.fog_distance
        and a.wetness == b.wetness
    )


@kernels.kernel(nt.void(LIT, TEXTURES))
def _set_lit(lit: Any, fixed: Any) -> None:
    set_light(lit.light[0], lit.book, lit.haze, lit.weather[0], fixed)


def lit_by(weather: Records) -> Lit:
    """Returns the light of one weather, (1,) WEATHER."""
    lit = Lit(
        weather.copy(),
        np.zeros(1, LIGHT),
        np.zeros((N_BOOK, 256), np.int64),
        np.zeros((2, N_HAZE + 1)),
    )
    _set_lit(lit, textures())
    return lit


@kernels.inner
def take_light(
    lit: Any, lights: Records, book: Ints, haze: Floats, weather: Any, fixed: Any
) -> None:
    """Does what `set_light` does, for less in the weather that `lit` is of."""
    if same_weather(weather, lit.weather[0]):
        lights[0] = lit.light[0]
        for k in range(N_BOOK):
            for code in range(256):
                book[k, code] = lit.book[k, code]
        for k in range(N_HAZE + 1):
            haze[0, k], haze[1, k] = lit.haze[0, k], lit.haze[1, k]
    else:
        set_light(lights[0], book, haze, weather, fixed)


@kernels.inner
def _sun_is_near(
    is_level: bool, light: Any, look_x: Floats, look_y: Floats, look_z: Floats
) -> bool:
    """Whether any direction of a row lies within the sun's halo, or all but."""
    if light.glow <= 0.0:
        return False
    sun_x, sun_y = np.float32(light.sun_x), np.float32(light.sun_y)
    sun_z, near, rise = np.float32(light.sun_z), np.float32(0.809), np.float32(look_z[0])
    n = np.int32(0)
    for j in range(len(look_x)):
        if not is_level:
            rise = np.float32(look_z[j])
        x, y = look_x[j], look_y[j]
        toward = x * sun_x + y * sun_y + rise * sun_z
        square = x * x + y * y + rise * rise
        is_near = (toward > np.float32(0.0)) & (toward * toward > near * square)
        n = np.int32(n + np.int32(is_near))
    return bool(n > 0)


@kernels.inner
def _add_sun(light: Any, below: int, x: float, y: float, z: float) -> int:
    """Returns the ink of the sky with the sun's disc and halo."""
    toward = x * light.sun_x + y * light.sun_y + z * light.sun_z
    square = x * x + y * y + z * z
    if toward <= 0.0 or toward * toward <= 0.81 * square:
        return below
    cosine = toward / math.sqrt(square)
    halo = 0.75 * (max(cosine - 0.9, 0.0) * 10.0) ** 6
    if cosine > 0.9993:
        halo = 1.0
    return ink(mix(color_of(below), light.sun_color, int(256.0 * halo * light.glow)))


@kernels.inner
def paint_sky(
    is_level: bool,
    light: Any,
    book: Ints,
    clouds: Ints,
    look_x: Floats,
    look_y: Floats,
    look_z: Floats,
    inverse_flat: Floats,
    depth: Floats,
    places: Ints,
    colors: Ints,
    words: Ints,
    inks: Ints,
) -> None:
    """Paints a run of pixels that show the sky.

    Args:
        is_level: look_z of all of them is that of the first one.
        light: LIGHT record.
        book: see PALETTE.
        clouds: cloud texture, flat.
        look_x: world components of each direction, any length, z >= 0, (P,) float32;
            P <= BLOCK.
        look_y: likewise, (P,) float32.
        look_z: likewise, (P,).
        inverse_flat: 1 / their horizontal length, (P,) float32.
        depth: of what is drawn already; pixels nearer than FAR are kept, (P,) [m].
        places: scratch, (2 * BLOCK or more,).
        colors: scratch, (2 * BLOCK,).
        words: the same memory, see `paint.paint_scratch`.
        inks: painted, (P,), see `inks.develop`.
    """
    wind, south = np.float32(light.wind + 65536.0), np.float32(65536.0)
    rise, size = np.float32(look_z[0]), np.int32(CLOUD_SIZE)
    last, scaled = np.float32(N_SKY - 1.0), np.float32(rise * np.float32(SKY_SCALE))
    # Clouds lie in a plane far above; the summand keeps those at the horizon finite.
    far = np.float32(150.0) / np.float32(rise + np.float32(0.06))
    for j in range(len(look_x)):
        if not is_level:
            rise = np.float32(look_z[j])
            scaled = np.float32(rise * np.float32(SKY_SCALE))
            far = np.float32(150.0) / np.float32(rise + np.float32(0.06))
        places[at(0, j)] = np.int32(min(scaled * inverse_flat[j], last))
        u = np.int32(np.int32(look_x[j] * far + wind) & (size - 1))
        v = np.int32(np.int32(look_y[j] * far + south) & (size - 1))
        places[at(BLOCK, j)] = np.int32(np.int32(v * size) + u)
    for j in range(len(look_x)):
        step = places[at(0, j)]
        colors[at(0, j)], colors[at(BLOCK, j)] = book[SKY, step], book[CLOUD, step]
    for j in range(len(look_x)):
        places[at(BLOCK, j)] = np.uint32(clouds[places[at(BLOCK, j)]])
    clear, thickest = np.int32(light.clear), np.int32(_THICKEST)
    for j in range(len(look_x)):
        cover = np.int32(np.int32(np.int32(places[at(BLOCK, j)]) * np.int32(_DENSE)) - clear)
        part = np.uint32(min(max(cover, np.int32(0)), thickest))
        rest = np.uint32(np.uint32(256) - part)
        low, high = halves(words, 0, j)
        cloud_low, cloud_high = halves(words, BLOCK, j)
        low, high = blend(low, rest, cloud_low, part), blend(high, rest, cloud_high, part)
        places[at(0, j)] = inked(low, high)
    if _sun_is_near(is_level, light, look_x, look_y, look_z):
        for j in range(len(look_x)):
            places[at(0, j)] = _add_sun(light, places[at(0, j)], look_x[j], look_y[j], look_z[j])
    for j in range(len(look_x)):
        inks[j] = over_ink(inks[j], places[at(0, j)], depth[j] >= FAR)
