"""The API over runs: list, start, look at and steer them over HTTP.

Add the app to INSTALLED_APPS, and include its urls.
"""
