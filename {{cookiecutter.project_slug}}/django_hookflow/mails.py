"""E-mail to the people of a question: a receiver of its signals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.dispatch import receiver
from django.utils import timezone

from django_hookflow import signals
from django_hookflow.conf import conf
from django_hookflow.models import Question

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


@receiver(signals.question_asked)
def _asked(question: Question, **_: Any) -> None:
    _mail(question, question.title)


@receiver(signals.question_due)
def _due(question: Question, **_: Any) -> None:
    _mail(question, f"Reminder: {question.title}")


def _mail(question: Question, subject: str) -> None:
    """Send one message to each address, which does not see the others."""
    if not conf.DJANGO_HOOKFLOW_QUESTION_EMAILS:
        return
    text = "\n\n".join(_lines(question))
    for address in sorted(set(_addresses(question))):
        EmailMessage(subject=subject, body=text, to=[address]).send()


def _lines(question: Question) -> Iterator[str]:
    yield question.title
    if question.description:
        yield question.description
    if question.due_at is not None:
        due = timezone.localtime(question.due_at)
        yield f"Please answer before {due:%Y-%m-%d %H:%M %Z}."
    if conf.DJANGO_HOOKFLOW_QUESTION_URL:
        url = conf.DJANGO_HOOKFLOW_QUESTION_URL
        yield url.replace("{id}", str(question.pk))


def _addresses(question: Question) -> Iterator[str]:
    for user in _people(question):
        address = getattr(user, user.get_email_field_name(), "")
        if user.is_active and address:
            yield address


def _people(question: Question) -> list[AbstractBaseUser]:
    users = get_user_model()._default_manager
    if question.to_group:
        return list(users.filter(groups__name=question.to_group))
    if not question.to_user:
        return []
    try:
        return list(users.filter(pk=question.to_user))
    except (ValueError, ValidationError):
        return []  # the text is not a key of this project's users
