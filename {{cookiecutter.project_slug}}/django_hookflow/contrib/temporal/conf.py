"""Every setting of this app with its type and default."""

from __future__ import annotations

from django_hookflow.conf import Declared


class Settings(Declared):
    # Host and port of the frontend of a cluster.
    TEMPORAL_ADDRESS: str = "localhost:7233"
    TEMPORAL_NAMESPACE: str = "default"
    # The queue that the workers of this site poll.
    TEMPORAL_TASK_QUEUE: str = "hookflow-tasks"
    # True encrypts the connection; a key or a certificate does so, too.
    TEMPORAL_TLS: bool = False
    # A key of Temporal Cloud.
    TEMPORAL_API_KEY: str = ""
    # Paths of PEM files: the certificate and the key of this client, and the
    # authority that signed the server's certificate if it is a private one.
    TEMPORAL_TLS_CERT: str = ""
    TEMPORAL_TLS_KEY: str = ""
    TEMPORAL_TLS_CA: str = ""


conf = Settings()
