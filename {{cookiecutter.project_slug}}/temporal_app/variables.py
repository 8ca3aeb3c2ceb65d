"""The environment variables of Temporal."""

from __future__ import annotations

from config.declaration import TEMPORAL
from config.declaration import Variable

QSTASH = "django_hookflow.transports.qstash.QStashTransport"

DECLARED = (
    Variable(
        name="DJANGO_HOOKFLOW_TRANSPORT",
        group=TEMPORAL,
        help="The class that sends the messages of runs.",
        default=QSTASH,
        choices=(
            QSTASH,
            "django_hookflow.contrib.temporal.TemporalTransport",
        ),
        example="django_hookflow.contrib.temporal.TemporalTransport",
    ),
    Variable(
        name="TEMPORAL_ADDRESS",
        group=TEMPORAL,
        help="Host and port of the Temporal server.",
        default="localhost:7233",
    ),
    Variable(
        name="TEMPORAL_NAMESPACE",
        group=TEMPORAL,
        help="Namespace on the server.",
        default="default",
    ),
    Variable(
        name="TEMPORAL_TASK_QUEUE",
        group=TEMPORAL,
        help="Queue that the workers of this site poll.",
        default="hookflow-project-tasks",
    ),
    Variable(
        name="TEMPORAL_TLS",
        group=TEMPORAL,
        help="Encrypt the connection; an API key or a certificate does so, "
        "too.",
        kind="flag",
        default=False,
    ),
    Variable(
        name="TEMPORAL_API_KEY",
        group=TEMPORAL,
        help="API key of Temporal Cloud.",
        secret=True,
    ),
    Variable(
        name="TEMPORAL_TLS_CERT",
        group=TEMPORAL,
        help="Path of the certificate of this client, a PEM file.",
        example="/run/secrets/temporal.pem",
    ),
    Variable(
        name="TEMPORAL_TLS_KEY",
        group=TEMPORAL,
        help="Path of the private key to that certificate, a PEM file.",
        example="/run/secrets/temporal.key",
    ),
    Variable(
        name="TEMPORAL_TLS_CA",
        group=TEMPORAL,
        help="Path of the certificate of a private authority, a PEM file.",
        example="/run/secrets/ca.pem",
    ),
    Variable(
        name="COMPOSE_TEMPORAL_ADDRESS",
        group=TEMPORAL,
        help="TEMPORAL_ADDRESS inside containers. With COMPOSE_PROFILES="
        "temporal, compose starts a server there, and a worker; with "
        "temporal-worker, a worker alone.",
        default="temporal:7233",
        reader="compose.yaml",
        example="your-namespace.tmprl.cloud:7233",
    ),
)
