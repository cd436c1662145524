"""One bedside as its pages and hooks see it: configuration, store, and what can be said of a result now."""

from functools import cached_property
from uuid import uuid4

from concordat import clock
from concordat.bedside import cards, documents, worker
from concordat.bedside.cards import Card
from concordat.bedside.config import Config
from concordat.bedside.documents import Documents
from concordat.bedside.items import Item, Items, Standing, standing
from concordat.bedside.links import Links
from concordat.bedside.receipts import Receipts
from concordat.bedside.store import Store
from concordat.reasons import Reason, Refused


class Bedside:
    """What every request works with. `institution` is our own short name."""

    def __init__(self, config: Config, store: Store, institution: str) -> None:
        self.config, self.store, self.institution = config, store, institution
        self.items, self.receipts, self.links = Items(store), Receipts(store), Links(store)
        self.address = config["address"].rstrip("/")

    @cached_property
    def documents(self) -> Documents:
        """Raises Refused(WRONG_STATE) before the worker has fetched them."""
        found = documents.kept(self.store, self.config["definition"])
        if found is None:
            detail = "The definition was not fetched yet: `concordat bedside enqueue` and the worker do."
            raise Refused(Reason.WRONG_STATE, detail=detail, field="definition")
        return found

    def standing(self, item: Item) -> Standing:
        """What can be said of an item now."""
        return standing(item, self.config, now=clock.now(), worker=worker.last_seen(self.store))

    def link(self, item: Item) -> str:
        """An address that opens the page of a result for some minutes."""
        return f"{self.address}/open/{self.links.make(item.id)}"

    def card(self, patient: str) -> tuple[Card, Item, Standing] | None:
        """The card for a patient, or None: nothing was asked, or the result is below the threshold.

        Either way, what is shown of a result or kept back leaves a receipt."""
        item = self.items.latest(patient)
        if item is None:
            return None
        now = self.standing(item)
        made = cards.card(item, now, self.config)
        if now == "ready":
            kept_back = cards.below(item, self.config)
            self.receipts.note(
                item,
                template=cards.TEMPLATE,
                rendered=made.text,
                viewer=self.config["viewer"],
                decision="suppressed" if kept_back else "shown",
                threshold=self.config["threshold"] if kept_back else "",
            )
            if kept_back:
                return None
        return made, item, now

    def keep_card(self, made: Card, item: Item, now: Standing) -> tuple[str, str]:
        """Note which card was handed out, for its feedback. Answers its UUID and that of its suggestion."""
        card, suggestion = str(uuid4()), str(uuid4()) if now == "ready" else ""
        row = (card, item.id, now, suggestion, made.text, clock.rfc3339(clock.now()))
        with self.store.write() as db:
            db.execute("INSERT INTO card VALUES (?, ?, ?, ?, ?, ?)", row)
        return card, suggestion
