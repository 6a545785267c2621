"""Findings: unusual properties of saved activations and of analyses."""
