"""What became of the records from the FHIR server since they were read: a Patient merged, a value entered in error.

The worker looks once an hour, or as often as the hospital says, at what may still be shown, for some seconds at a time:
requests and results do not wait for it. Results are taken back by the codes of `concordat bedside retract`. Of a server
that is away nothing is concluded; it is left alone for longer each time, and card and page say since when it has told
nothing.
"""

import logging
import time
from collections.abc import Sequence
from datetime import timedelta

from concordat import clock
from concordat.bedside.config import Config, ehr_minutes
from concordat.bedside.item import Item
from concordat.bedside.items import Items
from concordat.bedside.store import Store
from concordat.client.ehr import Ehr
from concordat.client.home import ClientHome
from concordat.client.rereading import found_wrong
from concordat.reasons import Reason, Refused

_LOG = logging.getLogger(__name__)

SECONDS = 10.0
"""For how long it looks at most before the worker does something else; a request that is on its way is cut off then.
No other record is begun in the second half, so that a server that answers in time is not taken for one that is away."""

FIRST_PAUSE = timedelta(minutes=1)
"""For how long a server that is away is left alone at first; doubled each time, up to the interval."""


class Watch:
    """Of one home and the configured definition. `round` does as much as its time allows."""

    def __init__(self, home: ClientHome, store: Store, config: Config) -> None:
        self._home = home
        self._items = Items(store, config["definition"])
        self._every = timedelta(minutes=ehr_minutes(config))
        self._shown = timedelta(hours=config["stale_after_hours"])
        self._after = clock.now()
        self._pause = FIRST_PAUSE

    def round(self) -> None:
        """Look at what is due, and take back what must not be shown any more. Nothing that fails is raised."""
        now = clock.now()
        if now < self._after:
            return
        due = self._items.due(looked=now - self._every, asked=now - self._shown)
        if not due:
            return
        try:
            with Ehr.of(self._home, attempts=1, seconds=SECONDS) as ehr:
                self._look(ehr, due)
        except Exception as error:  # noqa: BLE001  (what a server says must not keep the worker from recalls)
            why = error.reason if isinstance(error, Refused) else type(error).__name__
            _LOG.warning("what became of records at the FHIR server could not be looked at: %s", why)
            self._after, self._pause = now + self._pause, min(2 * self._pause, self._every)
        else:
            self._pause = FIRST_PAUSE

    def _look(self, ehr: Ehr, due: Sequence[Item]) -> None:
        """One result after the other. Each has had its turn then, so that none stands in the way of the next for ever.

        Raises:
            Refused: EHR_UNAVAILABLE, about the first one that it holds for.
        """
        until = time.monotonic() + SECONDS / 2
        for item in due:
            if time.monotonic() > until:
                return
            self._items.looked(item)
            if item.server == ehr.base:
                self._check(ehr, item)

    def _check(self, ehr: Ehr, item: Item) -> None:
        try:
            why, into = found_wrong(ehr, item.patient, item.origins)
        except Refused as refused:
            if refused.reason is Reason.EHR_UNAVAILABLE:
                raise
            _LOG.error("what became of a record at the FHIR server was not told: %s", refused.reason)
            return
        self._items.told(item)
        if why == "merged":
            self._items.retract(patient=item.patient, why=why, into=into)
        elif why:
            self._items.retract(request=item.id, why=why)
