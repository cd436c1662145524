"""Change an institution's own keys: make the successor, sign the change with the offline key, hand it in, switch.

Every step is on the disk before the next one begins, and repeating it does no harm, so that a change which was cut off
anywhere is finished by `resume`: the successor stands in `keys/next/`, the signed change in `key-change.jws` until the
coordinator has recorded it, our own pins have it, and the keystore has switched.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from concordat import canonical, clock
from concordat.client.session import check
from concordat.fields import read
from concordat.files import sync, write_private
from concordat.key_change import PROVEN, Ground, KeyChangeDocument, KeyHistory, build_change
from concordat.keystore import Keystore, Kind
from concordat.pins import Pins
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey, peek
from concordat.trusted import authorities

PENDING = "key-change.jws"

Send = Callable[[str], None]


@dataclass(frozen=True)
class OwnKeys:
    """The keys in one institution's folder, and the way to hand a change in."""

    directory: Path
    institution: str
    keystore: Keystore
    send: Send

    @property
    def history(self) -> KeyHistory:
        """Our keys, as our own pins have them. Raises Refused: HOME_INCOMPLETE, KEY_UNKNOWN."""
        return Pins.load(self.directory).history(self.institution)

    @property
    def pending(self) -> str | None:
        """The signed change that is not finished."""
        file = self.directory / PENDING
        return file.read_text() if file.exists() else None

    def rotate(
        self, kind: Kind, *, ground: Ground, offline: SigningKey, effective: datetime | None = None
    ) -> KeyChangeDocument:
        """Replace a key by a new one.

        Args:
            offline: the offline key in force; it may come from a medium that is attached for this moment only.
            effective: for a compromise, the time from which the old key is not believed.

        Raises:
            Refused: WRONG_STATE while an earlier change is pending; what `build_change` and the coordinator refuse.
        """
        self._check_idle()
        successors = self.keystore.successors.create([kind])
        successor = getattr(successors, kind) if kind in PROVEN else None
        return self._begin(kind, successors.public()[kind], ground, effective, offline, successor)

    def revoke(
        self, kind: Kind, *, ground: Ground, offline: SigningKey, effective: datetime | None = None
    ) -> KeyChangeDocument:
        """Revoke a key without a successor. Arguments and refusals as for `rotate`."""
        self._check_idle()
        return self._begin(kind, None, ground, effective, offline, None)

    def name_client(
        self, public: Mapping[str, Any], *, ground: Ground, offline: SigningKey, effective: datetime | None = None
    ) -> KeyChangeDocument:
        """Have a key of another system sign in from now on, or several, or those that the institution publishes at an
        address.

        Our own client key stays in the keystore: it goes on signing in only if it is one of those.

        Args:
            public: as `concordat.client_keys.ClientKey` has it: a public JWK, a JWK Set, or
                `{"jwks_url": …}`.

        Raises Refused as `rotate` does.
        """
        self._check_idle()
        return self._begin("client", dict(public), ground, effective, offline, None)

    def resume(self) -> KeyChangeDocument:
        """Finish the pending change. Raises Refused: NOT_FOUND without one; what the coordinator refuses."""
        change = self.pending
        if change is None:
            raise Refused(Reason.NOT_FOUND, detail="No key change is pending here.", field="home")
        document = read(peek(change)[1], KeyChangeDocument)
        self.send(change)
        kind = document["replaces"]["kind"]
        if document["key"] is None:
            self.keystore.remove(kind)
        elif self.keystore.successors.public().get(kind) == document["key"]:
            self.keystore.promote(kind)
        Pins.load(self.directory).apply(change, now=clock.now()).save(self.directory)
        (self.directory / PENDING).unlink()
        sync(self.directory)
        return document

    def _check_idle(self) -> None:
        if self.pending is not None:
            raise Refused(Reason.WRONG_STATE, detail="An earlier key change is pending: finish it with `keys resume`.")

    def _begin(
        self,
        kind: Kind,
        key: object,
        ground: Ground,
        effective: datetime | None,
        offline: SigningKey,
        successor: SigningKey | None,
    ) -> KeyChangeDocument:
        change = build_change(
            self.history,
            kind=kind,
            key=key,
            ground=ground,
            issued=clock.now(),
            effective=effective,
            offline=offline,
            successor=successor,
        )
        write_private(self.directory / PENDING, change.encode(), replace=False)
        return self.resume()


def post_change(coordinator: str, *, transport: httpx.BaseTransport | None = None) -> Send:
    """Hands a change in, without sign-in: it says all by its signature. Raises Refused as `Session` does."""

    def send(change: str) -> None:
        headers = {"Content-Type": "application/json"}
        with httpx.Client(verify=authorities(), transport=transport, timeout=30) as http:
            try:
                address = coordinator.rstrip("/") + "/api/v1/key-changes"
                check(http.post(address, content=canonical.encode({"change": change}), headers=headers))
            except httpx.TransportError as error:
                raise Refused(Reason.COORDINATOR_UNAVAILABLE) from error

    return send
