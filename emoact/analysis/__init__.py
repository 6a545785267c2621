"""Analyses: request, computation in a run, saving and reading."""
