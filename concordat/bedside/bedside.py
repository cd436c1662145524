"""One bedside as its pages and hooks see it: configuration, store, and what can be said of a result now."""

from dataclasses import dataclass
from uuid import uuid4

from concordat import clock
from concordat.bedside import cards, documents, worker
from concordat.bedside.authority import advice, last_look
from concordat.bedside.cards import Card
from concordat.bedside.config import Config
from concordat.bedside.documents import Documents
from concordat.bedside.item import Item
from concordat.bedside.items import Items
from concordat.bedside.links import Links
from concordat.bedside.receipts import Receipts
from concordat.bedside.standing import Standing, outlived, standing
from concordat.bedside.store import Store
from concordat.display import Decision
from concordat.reasons import Reason, Refused
from concordat.schema import Feature


@dataclass(frozen=True)
class Handed:
    """A card as it is handed out: its UUID, that of its suggestion (empty for what is no result), and its link."""

    made: Card
    card: str
    suggestion: str
    link: str


class Bedside:
    """What every request works with. `institution` is our own name, as people know it."""

    def __init__(self, config: Config, store: Store, institution: str) -> None:
        self.config, self.store, self.institution = config, store, institution
        self.items = Items(store, config["definition"])
        self.receipts, self.links = Receipts(store), Links(store)
        self.address = config["address"].rstrip("/")

    @property
    def documents(self) -> Documents:
        """Raises Refused(WRONG_STATE) before the worker has fetched them."""
        found = documents.kept(self.store, self.config["definition"])
        if found is None:
            detail = "The definition was not fetched yet: `concordat bedside enqueue` and the worker do."
            raise Refused(Reason.WRONG_STATE, detail=detail, field="definition")
        return found

    def standing(self, item: Item) -> Standing:
        """What can be said of an item now. Raises Refused(WRONG_STATE) as `documents` does."""
        now, old = clock.now(), bool(self._outlived(item))
        return standing(item, self.config, now=now, worker=worker.last_seen(self.store), outlived=old)

    def words(self, item: Item, standing: Standing) -> tuple[str, str]:
        """Of anything but a ready result: what it is called, and what that means."""
        return cards.words(item, standing, self.config, outlived=self._outlived(item))

    def _outlived(self, item: Item) -> list[Feature]:
        """Which inputs of an open result are older than its schema allows; of another definition's none is known."""
        if item.state != "open" or item.retraction or item.definition != self.config["definition"]:
            return []
        return outlived(item, self.documents.schema, now=clock.now())

    def doubt(self, item: Item) -> str:
        """What is said of a result when nobody has looked for some time whether it may still be used."""
        now = clock.now()
        said = cards.doubt(last_look(self.store), now), cards.unseen(item, self.config, now)
        return " ".join(filter(None, said))

    def link(self, item: Item) -> str:
        """An address that opens the page of a result for some minutes."""
        return f"{self.address}/open/{self.links.make(item.id)}"

    def card(self, patient: str) -> Handed | None:
        """The card for a patient, or None: nothing was asked, or the result is below the threshold.

        Either way, what is shown of a result or kept back leaves a receipt. It is written last: there is none of a card
        that could not be handed out."""
        item = self.items.latest(patient)
        if item is None:
            return None
        now = self.standing(item)
        made = cards.card(
            item,
            now,
            self.config,
            doubt=self.doubt(item),
            advice=advice(self.store, item),
            outlived=self._outlived(item),
        )
        if now == "ready" and cards.below(item, self.config):
            self._note(item, made, "suppressed", self.config["threshold"])
            return None
        handed = Handed(made, str(uuid4()), str(uuid4()) if now == "ready" else "", self.link(item))
        row = (handed.card, item.id, now, handed.suggestion, made.text, clock.rfc3339(clock.now()))
        with self.store.write() as db:
            db.execute("INSERT INTO card VALUES (?, ?, ?, ?, ?, ?)", row)
        if now == "ready":
            self._note(item, made, "shown", "")
        return handed

    def _note(self, item: Item, made: Card, decision: Decision, threshold: str) -> None:
        self.receipts.note(
            item,
            template=cards.TEMPLATE,
            rendered=made.text,
            viewer=self.config["viewer"],
            decision=decision,
            threshold=threshold,
        )
