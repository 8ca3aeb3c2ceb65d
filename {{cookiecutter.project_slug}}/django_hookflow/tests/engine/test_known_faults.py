"""Each fault of an earlier engine, with the tests that ours does not have it.

The faults B1 to B37 were found in django-hookflow 0.0.4. A name here that is
not a test fails, so that none is lost when tests move.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from django_hookflow.testing import transports

FAULTS = {
    "B1 body hash in hex": [
        "test_a_message_signed_with_the_current_key_moves_the_run",
    ],
    "B2 the lock ended before the work": [
        "test_a_second_message_during_a_step_is_told_to_come_again",
        "test_a_lease_that_ran_out_is_taken_over_and_the_old_owner_stops",
    ],
    "B3 a doubled message ended a sleep": [
        "test_sleep_takes_every_kind_of_duration",
        "test_a_message_that_comes_early_does_not_wake_the_sleeper",
        "test_a_delivery_arrives_when_it_is_due_or_after_a_hop",
    ],
    "B4 a retry waited for the sleep before it": [
        "test_a_retry_after_a_sleep_waits_for_its_own_delay",
    ],
    "B5 a result called slept_for was a sleep": [
        "test_a_result_is_never_taken_for_an_instruction",
    ],
    "B6 trigger published before the row": [
        "test_the_same_run_id_is_the_same_run",
        "test_a_conflict_leaves_the_callers_transaction_usable",
        "test_trigger_inside_a_rolled_back_transaction_starts_nothing",
        "test_nothing_is_sent_before_the_commit",
    ],
    "B7 a result that is not JSON ran again and again": [
        "test_a_step_whose_result_cannot_be_kept_fails_without_a_second_try",
    ],
    "B8 except Exception swallowed the checkpoint": [
        "test_except_exception_around_a_step_swallows_no_suspension",
        "test_a_lost_lease_cannot_be_swallowed",
    ],
    "B9 a fallback and the main branch both ran": [
        "test_failed_step_takes_the_same_branch_at_every_replay",
    ],
    "B10 a finished run ran again": [
        "test_a_message_of_a_finished_run_changes_nothing",
    ],
    "B11 a doubled message began a second chain": [
        "test_a_duplicate_message_starts_no_second_chain",
    ],
    "B12 no idempotency key": [
        "test_each_attempt_carries_the_same_idempotency_key",
    ],
    "B13 a failed publish repeated the step": [
        "test_trigger_succeeds_while_qstash_is_away_and_the_sweeper_sends",
        "test_a_lost_connection_ends_the_delivery_without_another_write",
    ],
    "B14 a lost message was a lost run": [
        "test_a_lost_message_is_sent_again_by_the_sweeper",
    ],
    "B15 errors of the function had no text": [
        "test_an_error_in_the_function_is_kept_with_its_text",
    ],
    "B16 errors judged by their text": [
        "test_errors_are_judged_by_type_and_not_by_their_words",
    ],
    "B17 one failure made many dead letters": [
        "test_a_failure_makes_one_dead_letter_and_no_message_more",
    ],
    "B18 a replay charged the card again": [
        "test_a_replay_continues_after_the_completed_steps",
        "test_a_dead_letter_is_replayed_once",
    ],
    "B19 a step id used twice returned the first result": [
        "test_misused_steps_fail_with_what_to_do",
    ],
    "B20 messages grew with the state": [
        "test_a_message_is_small_whatever_the_state",
    ],
    "B21 a final result that is not JSON": [
        "test_the_final_result_is_kept_or_the_run_fails_in_one_delivery",
    ],
    "B22 a run that recovered kept its error": [
        "test_a_run_that_waits_for_a_retry_says_why_and_forgets_it_later",
    ],
    "B23 a step inside a step": [
        "test_a_step_inside_a_step_is_refused",
    ],
    "B24 async def was accepted": [
        "test_async_and_generator_functions_are_refused_at_import",
    ],
    "B25 finally ran at each suspension": [
        "test_a_step_in_a_finally_block_runs_once",
    ],
    "B26 no autodiscovery": [
        "test_a_fresh_process_knows_every_workflow",
        "test_a_run_waits_for_a_process_that_has_its_code",
    ],
    "B27 calls: text was an error, POST was repeated": [
        "test_an_answer_is_kept_and_asked_for_once",
        "test_a_server_that_is_busy_says_when_to_come_again",
    ],
    "B28 cleanup deleted what was new or open": [
        "test_cleanup_counts_age_from_the_end_and_keeps_what_is_open",
        "test_cleanup_by_default_keeps_thirty_days",
    ],
    "B29 no tables when persistence was off": [
        "test_checks_name_the_problem",
    ],
    "B30 database errors were swallowed": [
        "test_a_lost_connection_ends_the_delivery_without_another_write",
    ],
    "B31 signatures behind proxies, bodies that are not UTF-8": [
        "test_a_tls_proxy_in_front_makes_no_difference",
        "test_an_unsigned_message_is_refused_whatever_it_holds",
        "test_a_signed_body_that_is_not_a_delivery_is_refused_for_good",
    ],
    "B32 a fixed QStash address": [
        "test_all_that_qstash_needs_is_published",
    ],
    "B33 addresses by concatenation": [
        "test_odd_ids_arrive_all_the_same",
        "test_a_slash_after_the_domain_makes_no_difference",
    ],
    "B34 staff who may only look could start runs": [
        "test_staff_who_may_only_look_cannot_start_runs",
    ],
    "B35 results in the answer": [
        "test_the_answer_holds_nothing_of_the_result",
    ],
    "B36 pending until the first step was done": [
        "test_a_run_is_running_during_its_first_step",
        "test_a_run_has_a_duration_when_its_step_is_recorded",
    ],
    "B37 trigger waited for QStash": [
        "test_trigger_returns_while_qstash_hangs",
    ],
}


def names_of_tests() -> set[str]:
    here = Path(__file__).parent
    return {
        node.name
        for path in (
            *here.glob("test_*.py"),
            here.with_name("test_transports.py"),
            Path(transports.__file__),
        )
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef)
    }


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_has_its_tests(fault: str) -> None:
    assert set(FAULTS[fault]) <= names_of_tests()


def test_no_fault_is_left_out() -> None:
    numbers = [fault.split()[0] for fault in FAULTS]

    assert numbers == [f"B{n}" for n in range(1, 38)]
