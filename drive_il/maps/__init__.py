"""Road networks, routes and the shipped towns."""
