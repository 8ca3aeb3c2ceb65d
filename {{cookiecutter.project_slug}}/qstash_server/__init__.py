"""A small server that speaks the QStash v2 API, inside your project.

from qstash_server.server import Server

with Server(port=8080) as server:
    print(server.url)
"""

from __future__ import annotations
