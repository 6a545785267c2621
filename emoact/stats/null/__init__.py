"""Null distributions, p-values and resampling."""
