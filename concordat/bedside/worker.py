"""What happens ahead of time: requests are sent, results awaited and opened, receipts handed in.

    waiting → sent → open, or failed

The id of a request is written down in the store before anything is prepared under it, and what is prepared is on disk
before it is sent (`concordat.client.work`): killed at any point, the worker begins where it was, and no request is sent
as two. Only one worker is at work in a home.
"""

import logging
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from concordat import clock
from concordat.bedside import authority, documents, retention
from concordat.bedside.authority import Authority
from concordat.bedside.config import Config
from concordat.bedside.item import Item
from concordat.bedside.items import Items
from concordat.bedside.receipts import AGAIN, Receipts
from concordat.bedside.store import Store
from concordat.bedside.watch import Watch
from concordat.client import fhir as spoken
from concordat.client import predict
from concordat.client.alarms import NOT_LOGGED
from concordat.client.api import Api
from concordat.client.governance import CheckedDefinition, fetch_definition
from concordat.client.home import ClientHome
from concordat.client.predict import OpenedPrediction
from concordat.client.work import Work
from concordat.reasons import Reason, Refused
from concordat.request import peek_request

_LOG = logging.getLogger(__name__)

_SEEN = "worker"
_FETCHED_ANEW, _IN_DOUBT = timedelta(hours=1), timedelta(minutes=1)


class Worker:
    """The worker of one home. `round` does everything that can be done now."""

    def __init__(
        self,
        home: ClientHome,
        api: Api,
        store: Store,
        config: Config,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._home, self._api, self._store, self._config, self._sleep = home, api, store, config, sleep
        self._items, self._receipts = Items(store, config["definition"]), Receipts(store)
        self._authority = Authority(home, api, store, config)
        self._watch = Watch(home, store, config)
        self._definition: CheckedDefinition | None = None
        self._due = clock.now()
        self._looked: datetime | None = None
        self._purged: datetime | None = None

    def round(self) -> None:
        """One look at what results rest on, at everything that is unfinished, and at the receipts. What fails for a
        while is left for the next round."""
        self._purge()
        self._watch.round()
        self._tell()
        try:
            self._look()
            self._definition = self._current()
            for item in self._items.unfinished():
                self._step(item, self._definition)
            self._receipts.hand_in(self._home, self._api)
        except Refused as refused:
            if refused.reason not in AGAIN:
                raise
        else:
            beat(self._store)

    def run(self, *, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Round after round, `seconds` apart."""
        while not until():
            self.round()
            self._sleep(seconds)

    def _purge(self) -> None:
        now = clock.now()
        if self._purged is None or now - self._purged >= retention.EVERY:
            retention.purge(self._store, self._config, now=now)
            self._purged = now

    def _look(self) -> None:
        """Take back what rests on something that has ended, with a receipt of each. What could not be found out is said
        by card and page, from some time on. Raises Refused(COORDINATOR_UNAVAILABLE)."""
        now = clock.now()
        if self._looked is None or now - self._looked >= authority.EVERY:
            self._looked = now
            try:
                self._authority.look()
            except Refused as refused:
                if refused.reason in AGAIN:
                    self._looked = None
                    raise
                _LOG.error("what results rest on could not be looked at: %s", refused.reason)
            finally:
                self._tell()

    def _tell(self) -> None:
        """A receipt of each result that was taken back."""
        for item in self._items.untold():
            self._receipts.retracted(item, viewer=self._config["viewer"])

    def _step(self, item: Item, definition: CheckedDefinition) -> None:
        """One item, as far as it goes now. Raises Refused(COORDINATOR_UNAVAILABLE): the others need it, too."""
        try:
            if item.retraction:
                self._take_back(item)
                return
            work = self._prepared(item, definition)
            if item.state == "waiting":
                self._submit(item, work)
            predict.wait(work, self._api, seconds=0)
            opened = predict.open_result(self._home, self._api, work, sleep=self._sleep)
        except Refused as refused:
            if refused.reason is Reason.COORDINATOR_UNAVAILABLE:
                raise
            if refused.reason not in AGAIN and refused.field != NOT_LOGGED:  # an alarm is repeated
                self._items.failed(item, refused.reason)
            if refused.reason is Reason.MODEL_RECALLED:
                self._looked = None  # what the owner advises is found out in the next round
        else:
            self._items.opened(item, kept(opened))

    def _submit(self, item: Item, work: Work) -> None:
        """Send a request, with what is kept and written down of where its record came from. Killed in between, it does
        so again: rather two events of an audit than none."""
        if item.origins is not None:
            work.keep_reading(item.origins)
            if item.server:
                work.keep_source(item.server)
            if item.change:  # of the record itself, whoever read it has written it down
                subject = peek_request(work.content["token"])["subject"]
                who = {"request": item.id, "person": item.person, "subject": subject}
                spoken.audit_read(self._home, item.origins, **who, source=item.source)
        status = predict.submit(work, self._api)
        if item.consent:
            spoken.audit_consent(self._home, work, item.consent, status)
        self._items.sent(item)

    def _prepared(self, item: Item, definition: CheckedDefinition) -> Work:
        """The request's folder: the one that is there, or a new one. What was left half made was never sent.

        Raises Refused: WRONG_STATE for a folder that is of another request, or for an item of another definition.
        """
        what_ifs = [item.change] if item.change else []
        with suppress(FileNotFoundError):
            if (self._home.work / item.id / "request.json").exists():
                work = Work.of(self._home.work, item.id)
                content = work.content
                if (content["definition"], content["values"], content["what_ifs"]) != (
                    item.definition,
                    item.values,
                    what_ifs,
                ):
                    raise Refused(Reason.WRONG_STATE, detail="The folder of this id is another request's.")
                return work
        if item.definition != definition.digest:
            raise Refused(Reason.WRONG_STATE, detail="It was asked under another definition.")
        shutil.rmtree(self._home.work / item.id, ignore_errors=True)
        return predict.prepare(
            self._home,
            definition,
            item.values,
            purpose=self._config["purpose"],
            person=item.person,
            consent=item.consent,
            subject=item.subject,
            urgency=item.urgency,
            what_ifs=what_ifs,
            request=item.id,
        )

    def _take_back(self, item: Item) -> None:
        """What was retracted before it came: nobody computes it any more, if that is in time."""
        with suppress(Refused):  # nothing was sent, there is a result already, or it ended by itself
            if Work.of(self._home.work, item.id).job:
                predict.cancel(Work.of(self._home.work, item.id), self._api)
        self._items.failed(item, Reason.WRONG_STATE)

    def _current(self) -> CheckedDefinition:
        """The definition, verified; anew from time to time, for what the hospital may have changed in its pins."""
        known, now = self._definition, clock.now()
        if known is not None and known.digest == self._config["definition"] and now < self._due:
            return known
        found = documents.fetch(self._home, self._api, self._store, self._config["definition"])
        self._due = now + (_IN_DOUBT if found.card_doubt else _FETCHED_ANEW)
        return fetch_definition(self._home, self._api, self._config["definition"])


def kept(opened: OpenedPrediction) -> dict[str, Any]:
    """An opened prediction as the store holds it."""
    return {
        "explanation": opened.explanation.to_json(),
        "what_ifs": [each.to_json() for each in opened.what_ifs],
        "record": opened.record,
        "log_size": opened.log_size,
        "cosigned": list(opened.witnessed.cosigned),
        "witnesses": list(opened.witnessed.of),
        "needed": opened.witnessed.needed,
        "enough": opened.witnessed.enough,
        "opened": clock.rfc3339(clock.now()),
    }


def beat(store: Store) -> None:
    """Say that the worker is at work, and that nothing kept it from the coordinator."""
    with store.write() as db:
        db.execute("INSERT OR REPLACE INTO document VALUES (?, ?)", (_SEEN, clock.rfc3339(clock.now())))


def last_seen(store: Store) -> datetime | None:
    """When it said so last."""
    with store.read() as db:
        row = db.execute("SELECT content FROM document WHERE name = ?", (_SEEN,)).fetchone()
    return None if row is None else clock.parse(row["content"])
