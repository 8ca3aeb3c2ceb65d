"""Races between real connections to PostgreSQL, each in a chosen order.

Nobody sleeps: an actor stands still at a statement until it is let go, and
the database says who waits for a lock.
"""
