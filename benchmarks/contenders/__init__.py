"""One process each: the raw limit, ours, the peers. See wire.py."""
