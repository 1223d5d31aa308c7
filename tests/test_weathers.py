"""CARLA's weather presets, against CARLA itself."""

import numpy as np
import pytest

from drive_il import weathers
from drive_il.datatypes import WEATHER


@pytest.mark.carla_wheel
def test_every_preset_has_carlas_numbers() -> None:
    carla = pytest.importorskip("carla")
    kind = carla.WeatherParameters
    known = {name for name in dir(kind) if isinstance(getattr(kind, name), kind)}
    assert set(weathers.PRESETS) == known - {"Default", "DustStorm"}
    for name in weathers.PRESETS:
        theirs, ours = getattr(kind, name), weathers.preset(name)[0]
        for field in WEATHER.names or ():
            assert ours[field] == np.float32(getattr(theirs, field)), (name, field)


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(ValueError, match="no weather 'Fog'; known: ClearNight, ClearNoon"):
        weathers.preset("Fog")
