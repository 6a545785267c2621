"""Statistics of saved activations: numpy in, numpy out; no files, no torch."""
