"""From prompts to activations: which tokens in which pass, the passes, and the files."""
