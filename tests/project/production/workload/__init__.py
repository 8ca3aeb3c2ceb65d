"""Workflows that wait, fail and kill as a test wants it."""
