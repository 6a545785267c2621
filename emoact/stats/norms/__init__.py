"""Norms of activations as tables."""
