"""CARLA, both ways; `server` speaks its wire protocol for the embedded world."""
