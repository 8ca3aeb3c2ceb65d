from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import mail
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from temporal_app.activities import EmailPayload
from temporal_app.activities import UserProcessingPayload
from temporal_app.activities import process_user_activity
from temporal_app.activities import send_email_activity

PAYLOAD = EmailPayload(to="a@example.com", subject="Test", body="Message")


@pytest.mark.asyncio
async def test_an_email_is_sent_from_the_address_of_the_settings() -> None:
    result = await send_email_activity(PAYLOAD)

    assert result == {"status": "sent", "to": "a@example.com"}
    (message,) = mail.outbox
    assert (message.subject, message.body) == ("Test", "Message")
    assert message.from_email == settings.DEFAULT_FROM_EMAIL


@pytest.mark.asyncio
async def test_an_email_that_is_sent_again_has_the_same_id() -> None:
    for _ in range(2):
        await ActivityEnvironment().run(send_email_activity, PAYLOAD)

    first, second = (one.message()["Message-ID"] for one in mail.outbox)
    assert first == second
    assert str(first).startswith("<")


@pytest.mark.asyncio
async def test_an_email_of_someone_says_so() -> None:
    await send_email_activity(
        EmailPayload("a@example.com", "Test", "Message", "b@example.com")
    )

    assert mail.outbox[0].from_email == "b@example.com"


@pytest.mark.asyncio
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("action", "is_active"),
    [("activate", True), ("deactivate", False), ("check", False)],
)
async def test_an_action_may_be_done_twice(
    action: str, is_active: bool
) -> None:
    users = get_user_model().objects
    user = await users.acreate(username="ada", is_active=False)

    for _ in range(2):
        result = await process_user_activity(
            UserProcessingPayload(user.pk, action)
        )

    assert result == {
        "status": "processed",
        "user_id": user.pk,
        "action": action,
    }
    await sync_to_async(user.refresh_from_db)()
    assert user.is_active is is_active


@pytest.mark.asyncio
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("action", "message"),
    [
        (
            "paint",
            "UnknownAction: Unknown action 'paint', expected one of activate, "
            "deactivate, check.",
        ),
        ("check", "UserNotFound: No user has the id 4711."),
    ],
)
async def test_what_can_never_succeed_is_not_tried_again(
    action: str, message: str
) -> None:
    with pytest.raises(ApplicationError) as caught:
        await process_user_activity(UserProcessingPayload(4711, action))

    error: Any = caught.value
    assert str(error) == message
    assert error.non_retryable
