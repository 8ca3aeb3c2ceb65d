"""Temporal workflows and activities of this site, and its worker."""
