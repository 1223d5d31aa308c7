"""Weather by CARLA's names.

The numbers are those of the static members of carla.WeatherParameters in CARLA 0.9.16, in the
order of WEATHER. Left out are Default, which hands the choice to CARLA's map, and DustStorm,
whose dust WEATHER has no field for.
"""

from __future__ import annotations

import numpy as np

from drive_il.datatypes import WEATHER, Records

_CLEAR_SKY = 5.0, 0.0, 0.0, 10.0
_CLOUDY_SKY = 60.0, 0.0, 0.0, 10.0
_NOON, _SUNSET, _NIGHT = (-1.0, 45.0), (-1.0, 15.0), (-1.0, -90.0)
_HAZE = 0.75, 0.1
_DARK_HAZE = 75.0, 1.0

# cloudiness, precipitation, deposits, wind | azimuth, altitude | fog density | distance, falloff
# | wetness
PRESETS: dict[str, tuple[float, ...]] = {
    "ClearNoon": (*_CLEAR_SKY, *_NOON, 2.0, *_HAZE, 0.0),
    "CloudyNoon": (*_CLOUDY_SKY, *_NOON, 3.0, *_HAZE, 0.0),
    "WetNoon": (5.0, 0.0, 50.0, 10.0, *_NOON, 3.0, *_HAZE, 0.0),
    "WetCloudyNoon": (60.0, 0.0, 50.0, 10.0, *_NOON, 3.0, *_HAZE, 0.0),
    "SoftRainNoon": (20.0, 30.0, 50.0, 30.0, *_NOON, 3.0, *_HAZE, 0.0),
    "MidRainyNoon": (60.0, 60.0, 60.0, 60.0, *_NOON, 3.0, *_HAZE, 0.0),
    "HardRainNoon": (100.0, 100.0, 90.0, 100.0, *_NOON, 7.0, *_HAZE, 0.0),
    "ClearSunset": (*_CLEAR_SKY, *_SUNSET, 2.0, *_HAZE, 0.0),
    "CloudySunset": (*_CLOUDY_SKY, *_SUNSET, 3.0, *_HAZE, 0.0),
    "WetSunset": (5.0, 0.0, 50.0, 10.0, *_SUNSET, 2.0, *_HAZE, 0.0),
    "WetCloudySunset": (60.0, 0.0, 50.0, 10.0, *_SUNSET, 2.0, *_HAZE, 0.0),
    "SoftRainSunset": (20.0, 30.0, 50.0, 30.0, *_SUNSET, 2.0, *_HAZE, 0.0),
    "MidRainSunset": (60.0, 60.0, 60.0, 60.0, *_SUNSET, 3.0, *_HAZE, 0.0),
    "HardRainSunset": (100.0, 100.0, 90.0, 100.0, *_SUNSET, 7.0, *_HAZE, 0.0),
    "ClearNight": (*_CLEAR_SKY, *_NIGHT, 60.0, *_DARK_HAZE, 0.0),
    "CloudyNight": (*_CLOUDY_SKY, *_NIGHT, 60.0, *_HAZE, 0.0),
    "WetNight": (5.0, 0.0, 50.0, 10.0, *_NIGHT, 60.0, *_DARK_HAZE, 60.0),
    "WetCloudyNight": (60.0, 0.0, 50.0, 10.0, *_NIGHT, 60.0, *_HAZE, 60.0),
    "SoftRainNight": (60.0, 30.0, 50.0, 30.0, *_NIGHT, 60.0, *_HAZE, 60.0),
    "MidRainyNight": (80.0, 60.0, 60.0, 60.0, *_NIGHT, 60.0, *_HAZE, 80.0),
    "HardRainNight": (100.0, 100.0, 90.0, 100.0, *_NIGHT, 100.0, *_HAZE, 100.0),
}
"""name -> one WEATHER"""


def preset(name: str) -> Records:
    """Returns a weather by CARLA's name, (1,) WEATHER.

    Raises:
        ValueError: there is no such preset; the message lists those there are.
    """
    if name not in PRESETS:
        raise ValueError(f"there is no weather {name!r}; known: {', '.join(sorted(PRESETS))}")
    return np.array([PRESETS[name]], WEATHER)
