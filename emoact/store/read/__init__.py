"""A closed interpreter of pickles: it never imports, never calls, and copies no array."""
