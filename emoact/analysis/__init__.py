"""Analyses as files: asked for, worked off in a run, saved, found and read again."""
