"""Episodes in other people's formats, and back: LeRobot, Minari, RLDS.

Each format gets what it has a place for, in its own conventions, so that its library reads it
as its own. Everything else of an episode travels beside it (`sidecar`), so that an export
without loss comes back bit for bit.
"""
