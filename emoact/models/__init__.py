"""Models: registry, places, installation and loading."""
