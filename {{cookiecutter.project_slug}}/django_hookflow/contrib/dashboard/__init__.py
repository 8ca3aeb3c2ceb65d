"""Pages over runs: see what they do and why they wait, and steer them.

The rules of who sees and steers which runs are those of contrib.api.
"""
