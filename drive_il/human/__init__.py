"""A person at the wheel: keyboard, gamepad or steering wheel become a `Driver`."""
