"""No log line holds anything that the allow-list does not name: no message, no traceback, no stray key."""

import io
import json
import logging
from uuid import UUID

import pytest
import structlog

from concordat import logs
from concordat.reasons import Reason, Refused

SECRET = "Ann Example, born 1950"


@pytest.fixture
def lines():
    """The lines logged so far; afterwards logging is as it was before."""
    handlers, level, before = logging.root.handlers[:], logging.root.level, structlog.get_config()
    stream = io.StringIO()
    logs.configure(stream=stream, level=logging.DEBUG)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.configure(**before)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def test_a_line_is_json_with_its_named_keys(lines):
    job = UUID(int=1)
    structlog.get_logger().info("job.reserved", job=job, rounds=3, seconds=0.5, state="reserved", party=None)
    (line,) = lines()
    assert line.pop("time").endswith("Z")
    assert line == {
        "event": "job.reserved",
        "level": "info",
        "job": str(job),
        "rounds": 3,
        "seconds": 0.5,
        "state": "reserved",
        "party": None,
    }


def test_unknown_keys_are_dropped_and_counted(lines):
    structlog.get_logger().info("job.reserved", patient=SECRET, age=76, job="j")
    (line,) = lines()
    assert line["dropped"] == 2
    assert not set(line) - logs.ALLOWED
    assert SECRET not in json.dumps(line)


def test_known_keys_take_short_plain_values_only(lines):
    structlog.get_logger().info("job.reserved", job={"name": SECRET}, study=[SECRET], request="x" * 161, error=b"x")
    (line,) = lines()
    assert line["dropped"] == 4
    assert SECRET not in json.dumps(line)


def test_an_event_is_a_name_and_no_sentence(lines):
    structlog.get_logger().warning(f"patient {SECRET} refused")
    (line,) = lines()
    assert line["event"] == "unnamed"
    assert line["dropped"] == 1


def test_context_passes_the_same_list(lines):
    with structlog.contextvars.bound_contextvars(institution="zurich", user=SECRET):
        structlog.get_logger().info("bound")
    (line,) = lines()
    assert line["institution"] == "zurich"
    assert SECRET not in json.dumps(line)


def test_an_exception_leaves_its_type_only(lines):
    try:
        raise ValueError(SECRET)
    except ValueError:
        structlog.get_logger().exception("job.failed", job="j")
    (line,) = lines()
    assert line["error"] == "ValueError"
    assert "reason" not in line
    assert SECRET not in json.dumps(line)
    assert "Traceback" not in json.dumps(line)


def test_a_refusal_leaves_its_reason_code_too(lines):
    refusal = Refused(Reason.CONSENT_WITHDRAWN, detail=SECRET)
    structlog.get_logger().warning("job.refused", exc_info=refusal)
    (line,) = lines()
    assert (line["error"], line["reason"]) == ("Refused", "consent-withdrawn")
    assert SECRET not in json.dumps(line)


@pytest.mark.parametrize(
    ("level", "name"),
    [
        (logging.DEBUG, "debug"),
        (logging.INFO, "info"),
        (25, "info"),
        (logging.ERROR, "error"),
        (60, "critical"),
    ],
)
def test_a_librarys_line_keeps_its_logger_and_level_and_loses_its_text(lines, level, name):
    logging.getLogger("celery.worker").log(level, "Task failed for %s", SECRET)
    (line,) = lines()
    assert (line["event"], line["logger"], line["level"], line["dropped"]) == ("library", "celery.worker", name, 1)
    assert SECRET not in json.dumps(line)
    assert "Task" not in json.dumps(line)


def test_a_librarys_exception_leaves_its_type_only(lines):
    try:
        raise KeyError(SECRET)
    except KeyError:
        logging.getLogger("django.request").exception("Internal Server Error: %s", SECRET)
    (line,) = lines()
    assert (line["error"], line["level"]) == ("KeyError", "error")
    assert SECRET not in json.dumps(line)
    assert "Traceback" not in json.dumps(line)


def test_lines_below_the_level_are_not_written(lines):
    logs.configure(stream=io.StringIO(), level=logging.WARNING)
    structlog.get_logger().info("job.reserved")
    logging.getLogger("celery").info("x")
    assert lines() == []
