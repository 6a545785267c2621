"""Unusual properties of activations and data."""
