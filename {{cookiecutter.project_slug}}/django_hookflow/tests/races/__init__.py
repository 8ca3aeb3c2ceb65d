"""Races between real connections to PostgreSQL, each in a chosen order.

No test sleeps: an actor stops at a statement until it is released, and the
database says which connection waits for a lock.
"""
