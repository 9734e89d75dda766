"""Measurements side by side with peers: ``python -m bench``. Ratios, ours over theirs, are what they print."""
