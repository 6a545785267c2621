"""Null distributions: relabelling, permutation, pairing, and what is judged by them."""
