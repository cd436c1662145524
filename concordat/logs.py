"""Logs as JSON lines that cannot tell anything about a person: only named keys with short plain values get through.

Every line passes one allow-list. What is not on it is dropped and counted in `dropped`. An exception leaves its type,
the places in the code where it arose and, if it is a refusal, the reason code; its message stays out, since it may
quote what was being worked on. Lines of libraries keep their logger's name and their level, and lose their text.
"""

import logging
import re
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, TextIO
from uuid import UUID

import structlog

from concordat.reasons import Refused

ALLOWED = frozenset(
    {
        *("event", "level", "time", "logger", "error", "where", "reason", "field", "dropped"),
        *("institution", "node", "party", "role", "rank", "parties", "dealer", "kid", "version"),
        *("study", "definition", "model", "request", "job", "ticket", "consent", "batch", "epoch", "record"),
        *("state", "status", "method", "route", "scope", "verdict", "check", "task", "queue", "attempt", "attempts"),
        *("index", "size", "root", "sequence", "nonce", "block", "transaction", "chain", "address", "port"),
        *("reference", "count", "rounds", "bytes_sent", "seconds", "cpu_seconds", "energy_joules"),
    }
)

_EVENT = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_LONGEST = 160
_PLACES = 3


def configure(*, stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Send structlog's lines and those of the standard library's loggers to `stream` (standard error if None)."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            _name_exception,
            _allow_listed,
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=stream or sys.stderr),
    )
    logging.basicConfig(handlers=[_Forward()], level=level, force=True)


class _Forward(logging.Handler):
    """Passes a library's record on without its text."""

    def emit(self, record: logging.LogRecord) -> None:
        level = min(record.levelno // 10 * 10, logging.CRITICAL)  # structlog knows the five standard levels only
        structlog.get_logger().log(level, "library", logger=record.name, text=record.msg, exc_info=record.exc_info)


def _name_exception(logger: object, method: str, line: MutableMapping[str, Any]) -> Mapping[str, Any]:
    raised = line.pop("exc_info", None)
    if isinstance(raised, tuple):
        raised = raised[1]
    elif raised is True:
        raised = sys.exc_info()[1]
    if isinstance(raised, BaseException):
        line["error"] = type(raised).__name__
        line["where"] = _where(raised)
        if isinstance(raised, Refused):
            line["reason"] = raised.reason.value
    return line


def _where(error: BaseException) -> str:
    """The innermost places, file, line and function, of code and not of data: `jobs.py:102:request_prediction`."""
    frames = traceback.extract_tb(error.__traceback__)[-_PLACES:]
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}:{frame.name}" for frame in reversed(frames))


def _allow_listed(logger: object, method: str, line: MutableMapping[str, Any]) -> Mapping[str, Any]:
    kept = {
        key: str(value) if isinstance(value, UUID) else value for key, value in line.items() if _may_pass(key, value)
    }
    dropped = len(line) - len(kept)
    return {"event": "unnamed", **kept, **({"dropped": dropped} if dropped else {})}


def _may_pass(key: str, value: object) -> bool:
    match value:
        case str():
            return key in ALLOWED and len(value) <= _LONGEST and (key != "event" or bool(_EVENT.fullmatch(value)))
        case None | bool() | int() | float() | UUID():
            return key in ALLOWED
        case _:
            return False
