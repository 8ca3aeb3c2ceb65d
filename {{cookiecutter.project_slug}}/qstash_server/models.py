"""The rows of the server. Times are Unix milliseconds.

account     the name of the account that owns the row (accounts.py)
lane        a gate that messages pass one by one: a queue or a flow key
due         when the dispatcher should deliver the message
wake_at     when the dispatcher should look at a lane again

Only the modules in `store` write these tables.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models

NEVER = 2**62  # a wake time for what only an event can wake


class State(models.TextChoices):
    """The state of a message; the last three are final."""

    WAITING = "waiting"  # for its time, its lane or its next attempt
    ACTIVE = "active"  # being delivered by the process in `claimed_by`
    DELIVERED = "delivered"
    FAILED = "failed"  # given up: there is a dead letter
    CANCELED = "canceled"


class Kind(models.TextChoices):
    MESSAGE = "message"
    CALLBACK = "callback"
    FAILURE_CALLBACK = "failureCallback"


class Lane(models.Model):
    """A queue, or the key of a flow control, of one account."""

    class Kind(models.TextChoices):
        QUEUE = "queue"
        FLOW = "flow"

    account = models.CharField(max_length=64)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    name = models.TextField()
    created_at = models.BigIntegerField()
    updated_at = models.BigIntegerField()
    parallelism = models.IntegerField(default=0)  # 0: any
    rate = models.IntegerField(default=0)  # starts in a period; 0: any
    period = models.IntegerField(default=1)  # seconds
    paused = models.BooleanField(default=False)
    pinned_parallelism = models.BooleanField(default=False)
    pinned_rate = models.BooleanField(default=False)
    period_start = models.BigIntegerField(default=0)
    period_count = models.IntegerField(default=0)
    wake_at = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "kind", "name"], name="qstash_lane"
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["wake_at"], name="qstash_lane_wake")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Message(models.Model):
    """One message to one URL, until its log expires."""

    account = models.CharField(max_length=64)
    message_id = models.CharField(max_length=80, unique=True)
    kind = models.CharField(
        max_length=16, choices=Kind.choices, default=Kind.MESSAGE
    )
    url = models.TextField()
    host = models.TextField()  # of the URL, for filters
    path = models.TextField()
    body = models.BinaryField()
    size = models.IntegerField()  # of the body, to claim within a budget
    options = models.JSONField()  # options.Options
    max_retries = models.BigIntegerField()
    retried = models.BigIntegerField(default=0)
    created_at = models.BigIntegerField()
    not_before = models.BigIntegerField()
    due = models.BigIntegerField()
    state = models.CharField(
        max_length=12, choices=State.choices, default=State.WAITING
    )
    claimed_by = models.CharField(max_length=40, default="")
    cancel_requested = models.BooleanField(default=False)
    finished_at = models.BigIntegerField(null=True)
    # When to deliver it once more although it has been delivered; set from
    # the status page by developers who want to see a duplicate.
    again_at = models.BigIntegerField(null=True)
    # The message that a callback tells about, if both hold one place.
    source = models.BigIntegerField(null=True)
    topic_name = models.TextField(default="")
    endpoint_name = models.TextField(default="")
    queue_name = models.TextField(default="")
    schedule_id = models.TextField(default="")
    flow_key = models.TextField(default="")
    labels = models.TextField(default="")  # ",a,b,", for filters
    caller_ip = models.TextField(default="")
    # The gate it must pass next, and the queue in which it holds a place.
    lane = models.ForeignKey(
        Lane, models.SET_NULL, null=True, related_name="waiting"
    )
    place = models.ForeignKey(
        Lane, models.SET_NULL, null=True, related_name="holders"
    )

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["due", "id"],
                name="qstash_due",
                condition=models.Q(state="waiting", lane=None),
            ),
            models.Index(
                fields=["lane", "due", "id"],
                name="qstash_lane_due",
                condition=models.Q(state="waiting"),
            ),
            models.Index(
                fields=["flow_key"],
                name="qstash_active",
                condition=models.Q(state="active"),
            ),
            models.Index(
                fields=["finished_at"],
                name="qstash_finished",
                condition=models.Q(finished_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.message_id


class Event(models.Model):
    """One line of the log of a message."""

    account = models.CharField(max_length=64)
    message = models.ForeignKey(Message, models.CASCADE, related_name="events")
    time = models.BigIntegerField()
    state = models.CharField(max_length=20)  # as on the wire: "CREATED", …
    error = models.TextField(default="")
    next_delivery = models.BigIntegerField(null=True)
    response_status = models.IntegerField(null=True)
    response_headers = models.JSONField(null=True)
    response_body = models.BinaryField(null=True)

    def __str__(self) -> str:
        return f"{self.state} {self.message_id}"


class DeadLetter(models.Model):
    """A failed message, until it is retried or deleted."""

    account = models.CharField(max_length=64)
    dlq_id = models.CharField(max_length=40, unique=True)
    message = models.OneToOneField(
        Message, models.CASCADE, related_name="dead_letter"
    )
    created_at = models.BigIntegerField()
    response_status = models.IntegerField()  # 0: there was no response
    response_headers = models.JSONField()
    response_body = models.BinaryField()

    def __str__(self) -> str:
        return self.dlq_id


class Deduplication(models.Model):
    """The message that the next one with the same key would repeat."""

    account = models.CharField(max_length=64)
    key = models.CharField(max_length=64)  # a hash of id and URL
    message_id = models.CharField(max_length=80)
    expires_at = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "key"], name="qstash_deduplication"
            )
        ]

    def __str__(self) -> str:
        return self.message_id


class SigningKeys(models.Model):
    """The keys of an account, which a rotation moves on.

    `configured_*` are the settings they started from: when these change,
    the settings win, because receivers have them too.
    """

    account = models.CharField(max_length=64, unique=True)
    current = models.CharField(max_length=255)
    next = models.CharField(max_length=255)
    configured_current = models.CharField(max_length=255)
    configured_next = models.CharField(max_length=255)

    def __str__(self) -> str:
        return self.account


class UrlGroup(models.Model):
    """A named list of endpoints that each get a copy of a message."""

    account = models.CharField(max_length=64)
    name = models.CharField(max_length=256)
    created_at = models.BigIntegerField()
    updated_at = models.BigIntegerField()
    headers = models.JSONField(default=list)  # [[name, value], …]: defaults

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "name"], name="qstash_url_group"
            )
        ]

    def __str__(self) -> str:
        return self.name


class Endpoint(models.Model):
    group = models.ForeignKey(
        UrlGroup, models.CASCADE, related_name="endpoints"
    )
    url = models.TextField()
    name = models.TextField(default="")

    def __str__(self) -> str:
        return self.url


class Schedule(models.Model):
    """A cron line that produces messages."""

    account = models.CharField(max_length=64)
    schedule_id = models.CharField(max_length=256)
    cron = models.CharField(max_length=256)
    destination = models.TextField()  # a URL or the name of a group
    body = models.BinaryField()
    options = models.JSONField()  # options.Options
    caller_ip = models.TextField(default="")
    created_at = models.BigIntegerField()
    paused = models.BooleanField(default=False)
    next_at = models.BigIntegerField()
    last_at = models.BigIntegerField(null=True)
    last_messages = models.JSONField(default=list)  # their ids
    error = models.TextField(default="")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "schedule_id"], name="qstash_schedule"
            )
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["next_at"],
                name="qstash_schedule_next",
                condition=models.Q(paused=False),
            )
        ]

    def __str__(self) -> str:
        return self.schedule_id
