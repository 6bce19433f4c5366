"""What bench/run is made of. The standard library alone."""
