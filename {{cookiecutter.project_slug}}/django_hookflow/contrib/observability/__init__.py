"""Data about a deployed site: Sentry, JSON logs, /metrics.

Each is off until its variable is set, and then only its library is imported.
"""
