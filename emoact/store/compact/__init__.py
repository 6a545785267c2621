"""Compact units: zarr arrays in one zip, each distinct prefix once."""
