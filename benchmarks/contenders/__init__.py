"""Programs that do the same job in different ways; each prints one JSON line of its own timing."""
