"""What the coordinator lists, page by page to the end, the latest first: shapes only, as `api` says."""

from collections.abc import Iterator
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

from concordat.client.listed import (
    ConsentAnswer,
    DefinitionSummary,
    Erasure,
    Events,
    FoundEntry,
    Happened,
    KeyChange,
    Listed,
    Model,
    Page,
    Reliance,
    Study,
    Submission,
)
from concordat.client.session import Session
from concordat.fields import read
from concordat.reasons import Reason, Refused

T = TypeVar("T")


class Lists:
    """Lists over one session: everything that the institution may see, or of that what all the filters mean; an empty
    filter means nothing. Each raises Refused as the session does, or naming the field that has no shape."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def institutions(self, *, role: str = "") -> list[Listed]:
        """The enrolled institutions, with their enrolments."""
        return list(self._pages("institutions", Listed, "institution", role=role))

    def key_changes(self) -> list[str]:
        """Every institution's key changes (JWS), in no order that means anything."""
        return [each["change"] for each in self._pages("institutions/changes", KeyChange, "digest")]

    def studies(self, *, state: str = "") -> list[Study]:
        """The studies that concern the institution."""
        return list(self._pages("studies", Study, "study", state=state))

    def submissions(self, study: str) -> list[Submission]:
        """All that was put before the boards of a study."""
        return list(self._pages(f"studies/{study}/submissions", Submission, "submission"))

    def reliances(self) -> list[Reliance]:
        """The agreements by which we rely on another board, or another on ours."""
        return list(self._pages("reliances", Reliance, "agreement"))

    def models(self, *, owner: str = "", name: str = "") -> list[Model]:
        """The imported models."""
        return list(self._pages("models", Model, "model", owner=owner, name=name))

    def definitions(self, *, study: str = "", kind: str = "", model: str = "") -> list[DefinitionSummary]:
        """The definitions in which we have a say, or of studies that concern us."""
        return list(self._pages("definitions", DefinitionSummary, "digest", study=study, kind=kind, model=model))

    def consents(self, *, study: str = "") -> list[ConsentAnswer]:
        """The consents that the institution has handed in."""
        return list(self._pages("consents", ConsentAnswer, "consent", study=study))

    def erasures(self) -> list[Erasure]:
        """Erasures of people of whom this institution was given something."""
        return list(self._pages("erasures", Erasure, "notice"))

    def events(self, after: int = -1) -> Iterator[Happened]:
        """What concerns the institution of what the log has behind the index `after` (-1: all), the earliest first."""
        more = True
        while more:
            answer = read(self._session.get("events", after=after), Events)
            yield from answer["items"]
            more, after = answer["more"] and answer["after"] > after, answer["after"]

    def entries(self, **asked: str) -> Iterator[FoundEntry]:
        """The log's entries; by `event`, `institution`, `since` … A page may be empty and not be the last."""
        after: dict[str, str] = {}
        while True:
            page = read(self._session.get("ledger/entries", **asked, **after), Page)
            yield from (read(item, FoundEntry) for item in page["items"])
            further = parse_qs(urlsplit(page["next"]).query).get("after", [])
            if not further or further == list(after.values()):
                return
            after = {"after": further[0]}

    def _pages(self, path: str, shape: type[T], key: str, /, **filters: str) -> Iterator[T]:
        """The items of a list, asking for the next page behind the last item's `key`."""
        asked = {name: value for name, value in filters.items() if value}
        after: dict[str, str] = {}
        while True:
            page = read(self._session.get(path, **asked, **after), Page)
            yield from (read(item, shape) for item in page["items"])
            if not (page["items"] and page["next"]):
                return
            if key not in page["items"][-1]:
                raise Refused(Reason.FIELD_MISSING, field=key)
            after = {"after": str(page["items"][-1][key])}
