"""The embedded world as a CARLA 0.9.16 server: the unmodified client drives it.

`serving.serve` is the way in. `wire` knows the bytes, `link` the connections, `calls` what may
be asked, `episode` what is there, `live_world` how it moves, `sensing` what sensors report.
"""
