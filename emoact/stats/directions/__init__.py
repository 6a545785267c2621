"""Emotion directions: construction, strength, stability and separation."""
