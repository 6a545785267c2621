"""Norms of saved activations as tables."""
