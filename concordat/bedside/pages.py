"""The clinician's page: one result, what can be made of it, and questions about it.

A page is reached by a link and shown to its session only (`concordat.bedside.links`); no address names a patient. What
is shown of a result leaves a display receipt of exactly that part of the page.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from concordat import clock, what_if
from concordat.bedside import cards, chart, limits, questions, view
from concordat.bedside.bedside import Bedside
from concordat.bedside.http import body
from concordat.bedside.items import Item
from concordat.bedside.links import Session
from concordat.bedside.questions import WhyAsked
from concordat.display import OVERRIDES, Decision
from concordat.reasons import Reason, Refused
from concordat.schema import Value
from concordat.what_if import Change

TEMPLATE, PATIENT_TEMPLATE = "bedside-page-v1", "bedside-patient-v1"
LARGEST = 1 << 16
"""Bytes of a form."""

_HERE = Path(__file__).parent
_NO_WHAT_IFS = "The definition that the institutions approved allows no what-ifs."


class Pages:
    """The routes of one bedside."""

    def __init__(self, bedside: Bedside) -> None:
        self._bedside = bedside
        self._secure = urlsplit(bedside.address).scheme == "https"
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["percent"] = cards.percent
        self._templates.filters["moment"] = _moment
        self._templates.filters["exact"] = _exact

    @property
    def routes(self) -> list[Route | Mount]:
        """Pages, forms, and the two files that they load."""
        return [
            Route("/open/{token}", self.open),
            Route("/r/{handle}", self.result),
            Route("/r/{handle}/patient", self.patient),
            Route("/r/{handle}/decision", self.decision, methods=["POST"]),
            Route("/r/{handle}/question", self.question, methods=["POST"]),
            Route("/r/{handle}/ask", self.ask, methods=["POST"]),
            Mount("/static", StaticFiles(directory=_HERE / "static")),
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

    async def patient(self, request: Request) -> Response:
        """The same in plain language, for the patient and to print."""
        return HTMLResponse(await run_in_threadpool(lambda: self._patient(self._session(request))))

    async def decision(self, request: Request) -> Response:
        """What the clinician makes of the result."""
        form = await self._form(request)
        return await run_in_threadpool(lambda: self._decide(self._session(request), form))

    async def question(self, request: Request) -> Response:
        """How a question was understood; nothing is sent yet."""
        form = await self._form(request)
        return HTMLResponse(await run_in_threadpool(lambda: self._understand(self._session(request), form)))

    async def ask(self, request: Request) -> Response:
        """A confirmed question becomes a request of its own."""
        form = await self._form(request)
        return await run_in_threadpool(lambda: self._ask(self._session(request), form))

    def refusal(self, refused: Refused) -> Response:
        """A page that says no."""
        content = self._render("refused.html", title="Not possible", refused=refused)
        return HTMLResponse(content, status_code=refused.info.status)

    # --- what each does

    def _result(self, session: Session) -> str:
        item, bedside = self._bedside.items.of(session.item), self._bedside
        standing = bedside.standing(item)
        article = self._article(item) if standing == "ready" else ""
        if standing == "ready":
            self._note(item, TEMPLATE, article)
        called, means = ("", "") if standing == "ready" else cards.words(item, standing, bedside.config)
        return self._render(
            "result.html",
            title=bedside.config["title"],
            session=session,
            item=item,
            standing=standing,
            called=called,
            means=means,
            article=Markup(article),  # noqa: S704  (rendered by our own template)
            said=bedside.receipts.of(item),
            overrides=OVERRIDES,
            newer=self._newer(item),
            **self._asking(item, standing),
        )

    def _article(self, item: Item) -> str:
        """The part that a receipt commits to: everything that is said of the result, and nothing that changes."""
        assert item.result is not None
        documents, told = self._bedside.documents, item.result["explanation"]
        shown = view.factors(told, documents.schema)
        scale = "log-odds" if told["target"] == "log-odds" else "percentage points of probability"
        return self._render(
            "article.html",
            told=told,
            kept=item.result,
            factors=shown,
            left=len(told["factors"]) - len(shown),
            scale=scale,
            drawing=Markup(chart.draw(shown, scale)),  # noqa: S704  (it escapes what it is given)
            taken=clock.rfc3339(item.oldest),
            config=self._bedside.config,
            below=cards.below(item, self._bedside.config),
            no_interval=cards.NO_INTERVAL,
            limits=limits.attributes(documents, self._bedside.config),
        )

    def _asking(self, item: Item, standing: str) -> dict[str, Any]:
        """What the part of the page about questions needs."""
        if standing != "ready":
            return {"features": [], "example": None, "asked": [], "budgets": None, "allowed": False, "sent": 0}
        documents, items = self._bedside.documents, self._bedside.items
        record = documents.schema.encode_row(item.values)
        fields = [
            {"feature": each, "value": record.values[each.name], "imputed": each.name in record.imputed}
            for each in documents.schema.features
        ]
        return {
            "features": fields,
            "example": next((each for each in documents.schema.features if each.centre and not each.patient), None),
            "asked": [self._answered(each, record.values) for each in items.questions(item)],
            "budgets": documents.definition["budgets"],
            "allowed": documents.definition["what_ifs"] > 0,
            "sent": items.sent_on(clock.now()),
        }

    def _answered(self, question: Item, values: Mapping[str, Value]) -> dict[str, Any]:
        standing, schema = self._bedside.standing(question), self._bedside.documents.schema
        ready = standing == "ready" and question.result is not None
        called = "" if ready else cards.words(question, standing, self._bedside.config)[0]
        probability = question.result["what_ifs"][0]["probability"] if ready and question.result else ""
        return {"words": what_if.say(question.change, schema, values), "called": called, "probability": probability}

    def _patient(self, session: Session) -> str:
        item = self._ready(session)
        assert item.result is not None
        documents, told = self._bedside.documents, item.result["explanation"]
        shown = view.factors(told, documents.schema)
        inner = self._render(
            "for_patient.html",
            title=self._bedside.config["title"],
            told=told,
            people=view.of_a_hundred(told["probability"]),
            raising=[each for each in shown if each.direction == "raises"],
            lowering=[each for each in shown if each.direction == "lowers"],
            record=item.result["record"],
            taken=clock.rfc3339(item.oldest)[:10],
            institution=self._bedside.institution,
        )
        self._note(item, PATIENT_TEMPLATE, inner)
        return self._render("patient.html", title="For the patient", session=session, inner=Markup(inner))  # noqa: S704

    def _decide(self, session: Session, form: dict[str, str]) -> Response:
        item = self._ready(session)
        decision, reason = _decision(form)
        self._bedside.receipts.decided(
            item,
            template=TEMPLATE,
            rendered=self._article(item),
            viewer=self._bedside.config["viewer"],
            decision=decision,
            reason=reason,
            occasion=f"{TEMPLATE} {session.handle}",
        )
        return RedirectResponse(f"/r/{session.handle}#decision", status_code=303)

    def _understand(self, session: Session, form: dict[str, str]) -> str:
        item = self._ready(session)
        assert item.result is not None
        schema, told = self._bedside.documents.schema, item.result["explanation"]
        values = schema.encode_row(item.values).values
        asked = self._asked(form, values)
        if isinstance(asked, WhyAsked):
            return self._render(
                "why.html",
                title="Why?",
                session=session,
                direction=asked.direction,
                sentences=view.working(told, asked.direction),
                told=told,
            )
        self._check_allowed()
        schema.encode_row({**values, **asked})  # rules that two values break are refused before anybody confirms
        return self._render(
            "confirm.html",
            title="What if?",
            session=session,
            words=what_if.say(asked, schema, values),
            change=json.dumps(dict(asked)),
            once=str(uuid4()),
            budgets=self._bedside.documents.definition["budgets"],
            sent=self._bedside.items.sent_on(clock.now()),
        )

    def _asked(self, form: dict[str, str], values: Mapping[str, Value]) -> Change | WhyAsked:
        """What was typed, or which fields of the form differ from the record."""
        schema = self._bedside.documents.schema
        if "question" in form:
            asked = questions.understand(form["question"], schema, values)
            return asked if isinstance(asked, WhyAsked) else asked.change
        given = {each.name: each.check(each.parse(form.get(each.name, ""))) for each in schema.features}
        change = {name: value for name, value in given.items() if value != values[name]}
        if not change:
            raise Refused(Reason.FIELD_INVALID, detail="Change at least one value first.", field="what_if")
        return change

    def _ask(self, session: Session, form: dict[str, str]) -> Response:
        item = self._ready(session)
        self._check_allowed()
        features = {each.name: each for each in self._bedside.documents.schema.features}
        try:
            once, given = str(UUID(form.get("once", ""))), json.loads(form.get("change", ""))
            change = {name: features[name].check(value) for name, value in given.items()}
        except (ValueError, KeyError, AttributeError):
            raise Refused(Reason.FIELD_INVALID, detail="Ask the question anew.", field="change") from None
        self._bedside.items.ask(item, change, once=once)
        return RedirectResponse(f"/r/{session.handle}#questions", status_code=303)

    def _check_allowed(self) -> None:
        if self._bedside.documents.definition["what_ifs"] < 1:
            raise Refused(Reason.FIELD_INVALID, detail=_NO_WHAT_IFS, field="what_ifs")

    # --- what they share

    def _ready(self, session: Session) -> Item:
        """The session's item, if its result may be shown now. Raises Refused(WRONG_STATE)."""
        item = self._bedside.items.of(session.item)
        standing = self._bedside.standing(item)
        if standing != "ready":
            called, means = cards.words(item, standing, self._bedside.config)
            raise Refused(Reason.WRONG_STATE, detail=f"There is no current result: {called}. {means}", field="result")
        return item

    def _newer(self, item: Item) -> bool:
        latest = self._bedside.items.latest(item.patient)
        return latest is not None and latest.id != item.id

    def _note(self, item: Item, template: str, rendered: str) -> None:
        self._bedside.receipts.note(
            item,
            template=template,
            rendered=rendered,
            viewer=self._bedside.config["viewer"],
            decision="shown",
        )

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

    def _render(self, template: str, **values: Any) -> str:
        return self._templates.get_template(template).render(**values)


def _exact(number: float) -> str:
    """A number so that it reads back as itself: a form that rounds would ask for changes that nobody made."""
    return repr(float(number)).removesuffix(".0")


def _moment(time: str) -> str:
    """A time of ours (RFC 3339) for people."""
    return cards.moment(clock.parse(time))


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
