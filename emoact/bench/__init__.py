"""Side-by-side timings of emoact and of other ways to get activations."""
