"""The CDS service: discovery, `patient-view` and feedback (CDS Hooks 2.0, cds-hooks.hl7.org/2.0).

A hook is answered from the local store, with what was computed and opened ahead of time. Of what an EHR sends, the
patient's id is looked up and nothing is kept; `userComment`, which is free text about a patient, is not even read.
"""

import json
import logging
import sqlite3
from collections.abc import Mapping
from typing import Any, Literal, NotRequired

from pydantic import with_config
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from typing_extensions import TypedDict

from concordat.bedside import cards
from concordat.bedside.bedside import Bedside
from concordat.bedside.cards import REASON_SYSTEM
from concordat.bedside.config import keep_days
from concordat.bedside.ehr import Ehrs
from concordat.bedside.http import body
from concordat.bedside.percent import exact
from concordat.display import OVERRIDES
from concordat.fields import ANSWER, Text, read
from concordat.reasons import Reason, Refused

HOOK = "patient-view"
LARGEST = 1 << 20
"""Bytes of a hook's request. Nothing is prefetched here, so that it is small."""

_LOG = logging.getLogger(__name__)


@with_config(ANSWER)
class _Context(TypedDict):
    patientId: Text


@with_config(ANSWER)
class _Call(TypedDict):
    hook: Text
    hookInstance: Text
    context: _Context


@with_config(ANSWER)
class _Coding(TypedDict):
    code: Text
    system: Text


@with_config(ANSWER)
class _OverrideReason(TypedDict):
    reason: NotRequired[_Coding]


@with_config(ANSWER)
class _Suggestion(TypedDict):
    id: Text


@with_config(ANSWER)
class _Feedback(TypedDict):
    card: Text
    outcome: Literal["accepted", "overridden"]
    acceptedSuggestions: NotRequired[list[_Suggestion]]
    overrideReason: NotRequired[_OverrideReason]


@with_config(ANSWER)
class _Feedbacks(TypedDict):
    feedback: list[_Feedback]


class Hooks:
    """The routes of one bedside."""

    def __init__(self, bedside: Bedside, ehrs: Ehrs) -> None:
        self._bedside, self._ehrs = bedside, ehrs
        self._base = f"{bedside.address}/cds-services"
        self._service = f"{self._base}/{bedside.config['service']}"

    @property
    def routes(self) -> list[Route]:
        """Browsers let the pages of the configured EHRs call these, and no others."""
        cors = Middleware(
            CORSMiddleware,
            allow_origins=[origin for ehr in self._bedside.config["ehrs"] for origin in ehr["origins"]],
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
        )
        service = f"/cds-services/{self._bedside.config['service']}"
        return [
            Route("/cds-services", self.discover, methods=["GET", "OPTIONS"], middleware=[cors]),
            Route(service, self.call, methods=["POST", "OPTIONS"], middleware=[cors]),
            Route(f"{service}/feedback", self.feedback, methods=["POST", "OPTIONS"], middleware=[cors]),
        ]

    async def discover(self, request: Request) -> Response:
        """What there is to call."""
        await self._check(request, {self._base})
        config = self._bedside.config
        service = {
            "hook": HOOK,
            "id": config["service"],
            "title": config["title"],
            "description": (
                f"At most one card with a predicted probability and its explanation, where a {config['viewer']} of "
                f"{self._bedside.institution} asked for it in the last {keep_days(config)} days and it is at least "
                f"{exact(config['threshold'])}. No card does not mean a low risk."
            ),
            "usageRequirements": "Results are computed ahead of time; nothing is prefetched.",
        }
        return JSONResponse({"services": [service]})

    async def call(self, request: Request) -> Response:
        """The card for the patient whose chart is opened, if there is one."""
        try:
            await self._check(request, {self._service})
        except sqlite3.Error as error:  # who asks is known by then, and not whether it is the first time
            return JSONResponse({"cards": self._unavailable(error)})
        called = read(await _json(request), _Call)
        if called["hook"] != HOOK:
            raise Refused(Reason.FIELD_INVALID, detail=f"This service answers to {HOOK} only.", field="hook")
        return JSONResponse({"cards": await run_in_threadpool(self._cards, called["context"]["patientId"])})

    async def feedback(self, request: Request) -> Response:
        """What became of cards. All of it is taken, or nothing."""
        await self._check(request, {f"{self._service}/feedback", self._service})
        given = read(await _json(request), _Feedbacks)["feedback"]
        await run_in_threadpool(self._take, given)
        return JSONResponse({})

    def _cards(self, patient: str) -> list[dict[str, Any]]:
        bedside = self._bedside
        source = f"Concordat at {bedside.institution}"
        try:
            given = bedside.card(patient)
        except Exception as error:  # noqa: BLE001  (a health record shows an error as no card: as if all were well)
            return self._unavailable(error)
        if given is None:
            return []
        return [given.made.to_json(uuid=given.card, source=source, link=given.link, suggestion=given.suggestion)]

    def _unavailable(self, error: Exception) -> list[dict[str, Any]]:
        _LOG.error("a hook could not be answered: %s", type(error).__name__)
        source = f"Concordat at {self._bedside.institution}"
        return [cards.unavailable(self._bedside.config["title"]).to_json(source=source)]

    def _take(self, given: list[_Feedback]) -> None:
        bedside = self._bedside
        known = [(each, self._card(each), _reason(each)) for each in given]
        for each, card, reason in known:
            if card["standing"] != "ready":
                continue  # there was no result on it of which anything could be made
            bedside.receipts.decided(
                bedside.items.of(card["item"]),
                template=cards.TEMPLATE,
                rendered=card["rendered"],
                viewer=bedside.config["viewer"],
                decision=each["outcome"],
                reason=reason,
                occasion=each["card"],
            )

    def _card(self, given: _Feedback) -> Mapping[str, str]:
        with self._bedside.store.read() as db:
            row = db.execute("SELECT * FROM card WHERE id = ?", (given["card"],)).fetchone()
        if row is None:
            raise Refused(Reason.NOT_FOUND, detail="No such card was handed out from here.", field="feedback.card")
        accepted = [each["id"] for each in given.get("acceptedSuggestions", [])]
        if given["outcome"] == "accepted" and row["standing"] == "ready" and row["suggestion"] not in accepted:
            detail = "Accepted feedback names the card's suggestion."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field="feedback.acceptedSuggestions")
        return dict(row)

    async def _check(self, request: Request, audiences: set[str]) -> None:
        authorization = request.headers.get("authorization", "")
        await run_in_threadpool(lambda: self._ehrs.check(authorization, audiences=audiences))


def _reason(given: _Feedback) -> str:
    """The coded reason of an override, or empty. Raises Refused(FIELD_INVALID) for one that no card offered."""
    coding = given.get("overrideReason", {}).get("reason")
    if coding is None or given["outcome"] != "overridden":
        return ""
    if coding["system"] != REASON_SYSTEM or coding["code"] not in OVERRIDES:
        detail = f"A reason is one of the card's overrideReasons, of the system {REASON_SYSTEM}."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="feedback.overrideReason.reason")
    return coding["code"]


async def _json(request: Request) -> Any:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(Reason.MEDIA_TYPE_WRONG)
    try:
        return json.loads(await body(request, LARGEST))  # with decimals: what EHRs send is no document of ours
    except (ValueError, RecursionError):
        raise Refused(Reason.MALFORMED, detail="This is not JSON.") from None
