"""Distances between emotions within one model."""
