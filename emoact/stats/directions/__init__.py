"""Emotion directions: how they are made, how long, how stable, how well they separate."""
