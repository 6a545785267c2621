"""Side-by-side timings of emoact and of what one would use instead."""
