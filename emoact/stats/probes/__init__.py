"""Linear probes beside word baselines."""
