"""The clinician's page: one result, what can be made of it, and questions about it.

A page is reached by a link and shown to its session only (`concordat.bedside.links`); no address names a patient. What
is shown of a result leaves a display receipt of exactly that part of the page.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from concordat import clock, what_if
from concordat.bedside import authority, view
from concordat.bedside.articles import ANSWER_TEMPLATE, PATIENT_TEMPLATE, PLACES, TEMPLATE, Articles, written
from concordat.bedside.asking import Asking, Mistake
from concordat.bedside.bedside import Bedside
from concordat.bedside.http import body
from concordat.bedside.item import Item
from concordat.bedside.links import Session
from concordat.bedside.questions import WhyAsked
from concordat.display import OVERRIDES, TAKEN_BACK, Decision
from concordat.reasons import Reason, Refused
from concordat.what_if import Change

LARGEST = 1 << 16
"""Bytes of a form."""

_STATIC = Path(__file__).parent / "static"


class Pages:
    """The routes of one bedside."""

    def __init__(self, bedside: Bedside) -> None:
        self._bedside = bedside
        self._secure = urlsplit(bedside.address).scheme == "https"
        self._articles, self._asking = Articles(bedside), Asking(bedside)

    @property
    def routes(self) -> list[Route | Mount]:
        """Pages, forms, and the two files that they load."""
        return [
            Route("/open/{token}", self.open),
            Route("/r/{handle}", self.result),
            Route("/r/{handle}/questions", self.questions),
            Route("/r/{handle}/patient", self.patient),
            Route("/r/{handle}/decision", self.decision, methods=["POST"]),
            Route("/r/{handle}/question", self.question, methods=["POST"]),
            Route("/r/{handle}/ask", self.ask, methods=["POST"]),
            Mount("/static", StaticFiles(directory=_STATIC)),
        ]

    async def open(self, request: Request) -> Response:
        """From a link to a session of its own."""
        session, secret = await run_in_threadpool(self._bedside.links.open, request.path_params["token"])
        path = f"/r/{session.handle}"
        answer = RedirectResponse(path, status_code=303)
        # Not SameSite=Strict: whoever follows the link in the EHR comes from another site, and the redirect with them.
        answer.set_cookie(
            _cookie(session.handle), secret, path=path, secure=self._secure, httponly=True, samesite="lax"
        )
        return answer

    async def result(self, request: Request) -> Response:
        """The result, or what keeps it from being shown."""
        return HTMLResponse(await run_in_threadpool(lambda: self._result(self._session(request))))

    async def questions(self, request: Request) -> Response:
        """To the result's questions, anew: of a link to a part of its own page a browser asks for nothing."""
        session = await run_in_threadpool(self._session, request)
        return _to(session, "questions")

    async def patient(self, request: Request) -> Response:
        """The same in plain language, for the patient and to print."""
        return HTMLResponse(await run_in_threadpool(lambda: self._patient(self._session(request))))

    async def decision(self, request: Request) -> Response:
        """What the clinician makes of the result."""
        form = await self._form(request)
        return await run_in_threadpool(lambda: self._decide(self._session(request), form))

    async def question(self, request: Request) -> Response:
        """How a question was understood, or the result once more with what is wrong with it; nothing is sent yet."""
        form = await self._form(request)
        return await run_in_threadpool(lambda: self._understand(self._session(request), form))

    async def ask(self, request: Request) -> Response:
        """A confirmed question becomes a request of its own."""
        form = await self._form(request)
        return await run_in_threadpool(lambda: self._ask(self._session(request), form))

    def refusal(self, request: Request, refused: Refused) -> Response:
        """A page that says no, and leads back to the result unless the way there is closed."""
        handle = request.path_params.get("handle", "") if refused.reason != Reason.LINK_EXPIRED else ""
        back = f"/r/{handle}" if handle else ""
        content = self._articles.render("refused.html", title="Not possible", refused=refused, back=back)
        return HTMLResponse(content, status_code=refused.info.status)

    # --- what each does

    def _result(self, session: Session, mistake: Mistake | None = None) -> str:
        item, bedside = self._bedside.items.of(session.item), self._bedside
        standing = bedside.standing(item)
        article = self._articles.result(item) if standing == "ready" else ""
        if standing == "ready":
            self._articles.note(item, TEMPLATE, article)
        called, means = ("", "") if standing == "ready" else bedside.words(item, standing)
        return self._articles.render(
            "result.html",
            title=bedside.config["title"],
            session=session,
            item=item,
            standing=standing,
            called=called,
            means=means,
            advice=authority.advice(bedside.store, item),
            article=Markup(article),  # noqa: S704  (rendered by our own template)
            said=bedside.receipts.of(item),
            places=PLACES,
            overrides=OVERRIDES,
            reasons={**OVERRIDES, **TAKEN_BACK},
            newer=self._newer(item),
            mistake=mistake,
            **self._questions(item, standing, mistake.typed if mistake else {}),
        )

    def _questions(self, item: Item, standing: str, typed: Mapping[str, str]) -> dict[str, Any]:
        """What the part of the page about questions needs, with the values that were typed in place of the record's.
        Answers that are shown are noted."""
        if standing != "ready":
            return {"features": [], "example": None, "asked": [], "budgets": None, "allowed": False, "sent": 0}
        documents, items = self._bedside.documents, self._bedside.items
        record = documents.schema.encode_row(item.values)
        fields = [
            {
                "feature": each,
                "written": typed.get(each.name, written(record.values[each.name])),
                "imputed": each.name in record.imputed,
            }
            for each in documents.schema.features
        ]
        asked = [self._articles.answered(each, record) for each in items.questions(item)]
        for each in asked:
            if each.standing == "ready":
                self._articles.note(each.item, ANSWER_TEMPLATE, each.answer)
        return {
            "features": fields,
            "example": next((each for each in documents.schema.features if each.centre and not each.patient), None),
            "asked": [Markup(each.answer) for each in asked],  # noqa: S704  (rendered by our own template)
            "budgets": documents.definition["budgets"],
            "allowed": self._asking.allowed,
            "sent": items.sent_on(clock.now()),
        }

    def _patient(self, session: Session) -> str:
        item = self._ready(session)
        inner = self._articles.for_patient(item)
        self._articles.note(item, PATIENT_TEMPLATE, inner)
        return self._articles.render(
            "patient.html",
            title="For the patient",
            session=session,
            inner=Markup(inner),  # noqa: S704  (likewise)
        )

    def _decide(self, session: Session, form: dict[str, str]) -> Response:
        item = self._ready(session)
        decision, reason = _decision(form)
        self._bedside.receipts.decided(
            item,
            template=TEMPLATE,
            rendered=self._articles.result(item),
            viewer=self._bedside.config["viewer"],
            decision=decision,
            reason=reason,
            occasion=f"{TEMPLATE} {session.handle}",
        )
        return _to(session, "decision")

    def _understand(self, session: Session, form: dict[str, str]) -> Response:
        item = self._ready(session)
        try:
            asked = self._asking.understand(item, form)
        except Refused as refused:
            page = self._result(session, self._asking.mistake(form, refused))
            return HTMLResponse(page, status_code=refused.info.status)
        return HTMLResponse(self._understood(session, item, asked))

    def _understood(self, session: Session, item: Item, asked: Change | WhyAsked) -> str:
        if isinstance(asked, WhyAsked):
            assert item.result is not None
            told = item.result["explanation"]
            return self._articles.render(
                "why.html",
                title="Why?",
                session=session,
                direction=asked.direction,
                sentences=view.working(told, asked.direction),
                told=told,
            )
        schema = self._bedside.documents.schema
        record = schema.encode_row(item.values)
        return self._articles.render(
            "confirm.html",
            title="What if?",
            session=session,
            words=what_if.say(asked, schema, record.values, imputed=record.imputed),
            change=json.dumps(dict(asked)),
            once=str(uuid4()),
            budgets=self._bedside.documents.definition["budgets"],
            sent=self._bedside.items.sent_on(clock.now()),
        )

    def _ask(self, session: Session, form: dict[str, str]) -> Response:
        self._asking.ask(self._ready(session), form)
        return _to(session, "questions")

    # --- what they share

    def _ready(self, session: Session) -> Item:
        """The session's item, if its result may be shown now. Raises Refused(WRONG_STATE)."""
        item = self._bedside.items.of(session.item)
        standing = self._bedside.standing(item)
        if standing != "ready":
            called, means = self._bedside.words(item, standing)
            raise Refused(Reason.WRONG_STATE, detail=f"There is no current result: {called}. {means}", field="result")
        return item

    def _newer(self, item: Item) -> bool:
        latest = self._bedside.items.latest(item.patient)
        return latest is not None and latest.id != item.id

    def _session(self, request: Request) -> Session:
        handle = request.path_params["handle"]
        return self._bedside.links.session(handle, request.cookies.get(_cookie(handle), ""))

    async def _form(self, request: Request) -> dict[str, str]:
        """The fields of a form that this very session was given. Raises Refused: LINK_EXPIRED, MEDIA_TYPE_WRONG,
        TOO_LARGE, and FORM_FOREIGN for a form of another page or site."""
        session = await run_in_threadpool(self._session, request)
        origin = request.headers.get("origin", self._bedside.address)
        if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
            raise Refused(Reason.MEDIA_TYPE_WRONG, detail="A form is expected.")
        fields = parse_qs((await body(request, LARGEST)).decode(errors="replace"), keep_blank_values=True)
        form = {name: values[0] for name, values in fields.items()}
        if origin != self._bedside.address or form.pop("csrf", "") != session.csrf:
            raise Refused(Reason.FORM_FOREIGN, field="csrf")
        return form


def _to(session: Session, part: str) -> Response:
    """To a part of the result's page."""
    return RedirectResponse(f"/r/{session.handle}#{part}", status_code=303)


def _decision(form: Mapping[str, str]) -> tuple[Decision, str]:
    """What was decided, and the coded reason of an override."""
    if form.get("decision") == "accepted":
        return "accepted", ""
    if form.get("decision") == "overridden" and form.get("reason") in OVERRIDES:
        return "overridden", form["reason"]
    detail = "Accept it, or override it and say for which of the listed reasons."
    raise Refused(Reason.FIELD_INVALID, detail=detail, field="decision")


def _cookie(handle: str) -> str:
    return f"bedside-{handle}"
