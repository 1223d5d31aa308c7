"""What a policy may see: Scene and RoadNetwork in, arrays out."""
