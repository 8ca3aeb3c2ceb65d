"""The kit for test cases of unittest."""

from __future__ import annotations

from typing import ClassVar

from django.test import TransactionTestCase

from django_hookflow.testing.kit import Hookflow


class HookflowMixin(TransactionTestCase):
    """Gives a TestCase of Django `self.hookflow`.

    class OrderTests(HookflowMixin, TestCase): ...
    """

    hookflow: Hookflow
    # Whether each run that rests is replayed.
    hookflow_replay: ClassVar[bool] = True

    def setUp(self) -> None:
        super().setUp()
        kit = Hookflow(replays=self.hookflow_replay)
        self.hookflow = self.enterContext(kit.running())
        self.addCleanup(self.hookflow.finish)
