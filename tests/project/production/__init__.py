"""The deployed site, started as it is deployed, and then attacked.

settings    those of production, with an app of workflows to put to work
workload    that app
edge        the proxy that ends TLS before the site
bank        an external system, whose effects cannot be undone
stack       gunicorn, QStash, PostgreSQL, and what an operator does to them
wire        messages as QStash signs them, and as an attacker would
page        a document whose commands are run
"""
