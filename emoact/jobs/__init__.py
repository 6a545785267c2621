"""Runs: one worker process each, watched through its directory."""
