"""The model host: a process with one loaded model that extracts and answers typed sentences."""
