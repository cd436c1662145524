"""Display receipts on their way into the log: written down where something is shown, handed in by the worker.

What answers an EHR or a browser neither waits for the coordinator nor holds the key that signs. A receipt is signed
once and kept before it is sent, so that however often it is handed in, the log has it once.
"""

from dataclasses import dataclass

from concordat import canonical, clock, display
from concordat.bedside.item import Item
from concordat.bedside.store import Store
from concordat.client.api import Api
from concordat.client.home import ClientHome
from concordat.client.work import Work
from concordat.display import TAKEN_BACK, Decision
from concordat.explanation import LANGUAGE
from concordat.reasons import Reason, Refused

RETRACTION_TEMPLATE = "bedside-retraction-v1"

AGAIN = frozenset(
    {
        Reason.COORDINATOR_UNAVAILABLE,
        Reason.RESULT_NOT_READY,
        Reason.WITNESSES_TOO_FEW,
        Reason.RATE_LIMITED,
        Reason.BROKER_UNAVAILABLE,
        Reason.CHAIN_UNAVAILABLE,
        Reason.INTERNAL,
        Reason.NODE_BUSY,
        Reason.SIGNER_UNAVAILABLE,
        Reason.TIMESTAMP_AUTHORITY_UNAVAILABLE,
        Reason.SIGN_IN_REQUIRED,
        Reason.SIGN_IN_REFUSED,
    }
)
"""Refusals that pass: what was refused for one of them is tried again."""


@dataclass(frozen=True)
class Said:
    """A receipt as the page lists it. `state` is `queued`, `logged` or `local`, and then `why`."""

    decision: Decision
    viewer: str
    reason: str
    threshold: str
    time: str
    state: str
    why: str
    template: str


class Receipts:
    """Receipts in the store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def note(
        self,
        item: Item,
        *,
        template: str,
        rendered: str,
        viewer: str,
        decision: Decision,
        reason: str = "",
        threshold: str = "",
        once: str = "",
    ) -> None:
        """Write a receipt down. `once` names the occasion: the same again is no other one. Without it, it is the first
        showing of exactly this text."""
        occasion = once or canonical.digest([template, decision, reason, threshold, rendered])
        values = (
            f"{item.id} {occasion}",
            item.id,
            template,
            rendered,
            viewer,
            decision,
            reason,
            threshold,
            clock.rfc3339(clock.now()),
        )
        with self.store.read() as db:  # what is shown again and again costs no write
            if db.execute("SELECT 1 FROM receipt WHERE once = ?", values[:1]).fetchone():
                return
        with self.store.write() as db:
            db.execute(
                "INSERT OR IGNORE INTO receipt (once, item, template, rendered, viewer, decision, reason, threshold, "
                "time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )

    def decided(
        self,
        item: Item,
        *,
        template: str,
        rendered: str,
        viewer: str,
        decision: Decision,
        reason: str,
        occasion: str,
    ) -> None:
        """Write down what somebody made of a result on one `occasion`, unless that is what they said there last."""
        begins = f"{item.id} {occasion} #"
        query = "SELECT decision, reason FROM receipt WHERE substr(once, 1, ?) = ? ORDER BY id"
        with self.store.read() as db:
            said = [tuple(row) for row in db.execute(query, (len(begins), begins))]
        if said[-1:] == [(decision, reason)]:
            return
        self.note(
            item,
            template=template,
            rendered=rendered,
            viewer=viewer,
            decision=decision,
            reason=reason,
            once=f"{occasion} #{len(said)}",
        )

    def retracted(self, item: Item, *, viewer: str) -> None:
        """Write down that a result is not shown any more, where there was one: the text is what is said instead."""
        if item.result is None:
            return
        self.note(
            item,
            template=RETRACTION_TEMPLATE,
            rendered=TAKEN_BACK[item.retraction],
            viewer=viewer,
            decision="retracted",
            reason=item.retraction,
        )

    def of(self, item: Item) -> list[Said]:
        """What was said about a result, in order."""
        query = (
            "SELECT decision, viewer, reason, threshold, time, state, why, template FROM receipt WHERE item = ? "
            "ORDER BY time, id"
        )
        with self.store.read() as db:
            return [Said(*row) for row in db.execute(query, (item.id,))]

    def hand_in(self, home: ClientHome, api: Api) -> None:
        """Sign what is not signed, and hand in what the log does not have.

        A receipt that can never be logged stays here, with the reason: for a result that was never computed, or that
        the coordinator does not take any more.

        Raises:
            Refused: one of `AGAIN`; what was not handed in is queued still.
        """
        with self.store.read() as db:
            rows = db.execute("SELECT * FROM receipt WHERE state = 'queued' ORDER BY id").fetchall()
        for row in rows:
            try:
                work = Work.of(home.work, row["item"])
                if not work.job:
                    raise Refused(Reason.WRONG_STATE)
                token = row["token"] or self._sign(home, work, dict(row))
                api.display(work.job, token)
            except Refused as refused:
                if refused.reason in AGAIN:
                    raise
                self._set("state = 'local', why = ?", str(refused.reason), row["id"])
            else:
                self._set("state = 'logged'", row["id"])

    def _sign(self, home: ClientHome, work: Work, row: dict[str, str]) -> str:
        token = display.show(
            request=work.request,
            job=work.job,
            template=row["template"],
            language=LANGUAGE,
            rendered=row["rendered"],
            viewer=row["viewer"],
            decision=row["decision"],  # type: ignore[arg-type]  # show checks it
            reason=row["reason"],
            threshold=row["threshold"],
            time=clock.parse(row["time"]),
            key=home.keys.identity,
        )
        self._set("token = ?", token, row["id"])
        return token

    def _set(self, change: str, *parameters: str) -> None:
        with self.store.write() as db:
            db.execute(f"UPDATE receipt SET {change} WHERE id = ?", parameters)  # noqa: S608
