"""What this node may compute now, of tickets that go together: each is decided by itself, the chain is asked once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from compute.node import authority
from compute.node.authority import Grant
from compute.node.coordinator import Coordinator
from compute.node.home import NodeHome
from compute.node.registry import Asked, Registry
from compute.node.replay import ReplayCache
from compute.node.seen_recalls import SeenRecalls
from compute.node.seen_rosters import SeenRosters
from compute.node.seen_votes import SeenVotes
from concordat.reasons import Reason, Refused


@dataclass(frozen=True)
class Claimed:
    """A ticket of the replay cache: its name and its job's, the ticket itself (JWS), and when it came in."""

    ticket: str
    job: str
    token: str
    received: datetime


class Granting:
    """Decides by the institution's home, the chain, and what this node has seen before."""

    def __init__(self, home: NodeHome, coordinator: Coordinator, registry: Registry, replay: ReplayCache) -> None:
        self._home, self._coordinator, self._registry, self._replay = home, coordinator, registry, replay
        self._votes, self._rosters = SeenVotes(home.state), SeenRosters(home.state)
        self._recalls = SeenRecalls(home.state)

    def asking(self) -> Asked:
        """The chain, to be asked once for all that is decided now."""
        return Asked(self._registry)

    def grants(self, together: Sequence[Claimed], now: datetime) -> tuple[dict[str, Grant], dict[str, Reason]]:
        """By ticket, what may be computed, and why the others may not."""
        grants: dict[str, Grant] = {}
        reasons: dict[str, Reason] = {}
        registry = self.asking()
        for place in range(len(together)):
            try:
                grants[together[place].ticket] = self.grant(together, place, registry, now)
            except Refused as refused:
                reasons[together[place].ticket] = refused.reason
        return grants, reasons

    def grant(self, together: Sequence[Claimed], place: int, registry: Asked, now: datetime) -> Grant:
        """What may be computed for one of them, with those before it computed as well.

        Raises Refused: what `authority.check` refuses; COORDINATOR_UNAVAILABLE.
        """
        claimed = together[place]
        accepted = self._replay.accepted_on(now, besides=[each.ticket for each in together])
        return authority.check(
            claimed.token,
            self._coordinator.job(claimed.job),
            home=self._home,
            registry=registry,
            seen=self._votes,
            rosters=self._rosters,
            recalls=self._recalls,
            received=claimed.received,
            now=now,
            jobs_today=accepted + place,
        )
