"""The kit in test cases of unittest."""

from __future__ import annotations

import itertools
import unittest

from django.test import TestCase

from django_hookflow import WorkflowContext
from django_hookflow import workflow
from django_hookflow.testing.cases import HookflowMixin


class TestOrders(HookflowMixin, TestCase):
    hookflow_replay = False

    def test_a_run_is_delivered(self) -> None:
        passes = itertools.count()

        @workflow
        def odd(ctx: WorkflowContext) -> int:
            return next(passes)

        assert self.hookflow.run(odd).result == 0


class Mistaken(HookflowMixin, TestCase):
    """Not collected: the test below runs it."""

    __test__ = False

    def check(self) -> None:
        self.hookflow.stub("charge")


class TestMistakes(TestCase):
    def test_a_stub_that_is_not_used_fails_the_test(self) -> None:
        result = unittest.TestResult()

        Mistaken("check").run(result)

        ((_, told),) = result.failures
        assert "Stub 'charge' was not used" in told
