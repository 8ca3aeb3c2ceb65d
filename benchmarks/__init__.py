"""Measure the cost of durability, beside the raw limit and the peers."""
