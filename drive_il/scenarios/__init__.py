"""What a route's scenarios do to the world, as plain tables that any world can play."""
