"""Whom an institution believes: `pins.json`, one file for its client and its node alike.

Pins are compared with their owners by other means (a telephone call, a signed letter) before they are written. Nothing
that the coordinator says later can add to them; it is believed only as far as it agrees with them. The one thing that
it can pass on is an institution's own key change, which counts because the pinned offline key signed it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import NotRequired

from pydantic import with_config
from typing_extensions import TypedDict

from concordat import canonical
from concordat.documents import Keyring
from concordat.enrolment import Ed25519Public, Enrolment, verify_enrolment
from concordat.fields import STRICT, Slug, Text, WebAddress, plain, read
from concordat.files import about, write_private
from concordat.key_change import KeyHistory, check_issued
from concordat.reasons import Reason, Refused
from concordat.signatures import VerifyKey, keyring, peek
from concordat.votes import Address, Count, Domain

FILE = "pins.json"


@with_config(STRICT)
class PinsDocument(TypedDict):
    """The file.

    Attributes:
        coordinator_key: signs tickets and the log's checkpoints (Ed25519, base64url).
        log_origin: the name of the log, and of its key in a checkpoint.
        enrolments: the institutions' enrolments (JWS) by their short names.
        changes: their key changes since (JWS), in order; a file from before there were any lacks the field.
        chain_id, registry: where votes count; the registry is the contract's address.
        site: the address of the page on which officers sign, where it is not the coordinator's.
    """

    coordinator_key: Ed25519Public
    log_origin: Text
    enrolments: dict[Slug, str]
    changes: NotRequired[dict[Slug, list[str]]]
    chain_id: Count
    registry: Address
    site: NotRequired[WebAddress]


@dataclass(frozen=True)
class Pins:
    """The file's content, every enrolment and every key change in it verified."""

    document: PinsDocument
    histories: Mapping[str, KeyHistory]

    @classmethod
    def parse(cls, content: bytes) -> "Pins":
        """Raises Refused: what a malformed document, an enrolment or a key change that does not hold is refused for."""
        document = read(canonical.decode(content), PinsDocument)
        changes = document.get("changes", {})
        for slug in changes:
            if slug not in document["enrolments"]:
                raise Refused(Reason.KEY_UNKNOWN, detail="Its key changes are pinned without it.", field=slug)
        histories = {}
        for slug, token in document["enrolments"].items():
            enrolment = verify_enrolment(token)
            if enrolment.institution != slug:
                raise Refused(Reason.WRONG_INSTITUTION, detail="A pinned enrolment is another's.", field=slug)
            histories[slug] = KeyHistory.read(enrolment, changes.get(slug, ()))
        return cls(document, histories)

    @classmethod
    def load(cls, folder: Path) -> "Pins":
        """The pins of the institution with this folder. Raises Refused: HOME_INCOMPLETE, and what `parse` refuses."""
        try:
            with about(FILE):
                return cls.parse((folder / FILE).read_bytes())
        except FileNotFoundError:
            raise Refused(Reason.HOME_INCOMPLETE, detail=f"{folder} has no {FILE}: run `pin`.", field="home") from None

    @classmethod
    def install(cls, folder: Path, content: bytes, *, institution: str, identity: VerifyKey) -> "Pins":
        """Replace the pins. Raises Refused, and changes nothing, unless all of them hold and one is our own."""
        pins = cls.parse(content)
        if institution not in pins.histories:
            raise Refused(Reason.FIELD_MISSING, detail="The pins do not name our own institution.", field=institution)
        if pins.identity(institution) != identity:
            raise Refused(Reason.KEY_UNKNOWN, detail="The pins name another identity key than our own.")
        pins.save(folder)
        return pins

    def save(self, folder: Path) -> None:
        """Write the file."""
        write_private(folder / FILE, canonical.encode(plain(self.document)), replace=True)

    def apply(self, change: str, *, now: datetime) -> "Pins":
        """The pins with one more key change (JWS) of a pinned institution; these ones, if they have it already.

        Raises:
            Refused: KEY_UNKNOWN for an institution that is not pinned; FIELD_INVALID for a change from the future; and
                what :meth:`concordat.key_change.KeyHistory.after` refuses.
        """
        slug = str(peek(change)[1].get("institution", ""))
        history = self.history(slug)
        if change in history.tokens:
            return self
        check_issued(change, now)
        history = history.after(change)
        changes = {**self.document.get("changes", {}), slug: list(history.tokens)}
        return Pins({**self.document, "changes": changes}, {**self.histories, slug: history})

    def update(self, changes: Iterable[str], *, now: datetime) -> "Pins":
        """The pins with all of these changes, whatever their order; those of institutions not pinned here are left out.

        Raises Refused as `apply` does.
        """
        pins = self
        for change in sorted(changes, key=_number):
            if peek(change)[1].get("institution") in pins.histories:
                pins = pins.apply(change, now=now)
        return pins

    def history(self, institution: str, field: str = "institution") -> KeyHistory:
        """A pinned institution's keys. Raises Refused(KEY_UNKNOWN), naming the field that names the institution."""
        if institution not in self.histories:
            detail = f"{institution} is not pinned here. Pinned are: {', '.join(sorted(self.histories))}."
            raise Refused(Reason.KEY_UNKNOWN, detail=detail, field=field)
        return self.histories[institution]

    @property
    def enrolments(self) -> Mapping[str, Enrolment]:
        """Every pinned enrolment."""
        return {slug: history.enrolment for slug, history in self.histories.items()}

    def enrolment(self, institution: str) -> Enrolment:
        """A pinned institution's enrolment. Raises Refused(KEY_UNKNOWN)."""
        return self.history(institution).enrolment

    def identity(self, institution: str) -> VerifyKey:
        """Its live identity key. Raises Refused: KEY_UNKNOWN, KEY_REVOKED."""
        return VerifyKey.from_b64(self.history(institution).need("identity").public)

    def sealing(self, institution: str, field: str = "institution") -> str:
        """Its live public sealing key. Raises Refused: KEY_UNKNOWN as `history` does, KEY_REVOKED."""
        return str(self.history(institution, field).need("sealing").public)

    def chain(self, institution: str) -> str:
        """Its live chain address. Raises Refused: KEY_UNKNOWN, KEY_REVOKED."""
        return str(self.history(institution).need("chain").public)

    @cached_property
    def keyring(self) -> Keyring:
        """The live identity keys by institution: for what is signed now."""
        live = {slug: history.live("identity") for slug, history in self.histories.items()}
        return {slug: keyring(*([VerifyKey.from_b64(key.public)] if key else [])) for slug, key in live.items()}

    @cached_property
    def lasting_keyring(self) -> Keyring:
        """Live identity keys and those replaced without a suspicion: for what was signed once and is used for long (a
        model's manifest, a disclosure, a consent). A compromised key is not among them: when something was signed is
        for the log to prove, and a folder of pins has no log."""
        return {
            slug: keyring(*(VerifyKey.from_b64(key.public) for key in history.believed("identity")))
            for slug, history in self.histories.items()
        }

    @cached_property
    def coordinator(self) -> VerifyKey:
        """The key that signs tickets and checkpoints."""
        return VerifyKey.from_b64(self.document["coordinator_key"])

    @property
    def site(self) -> str:
        """The pinned address of the officers' page; empty for the coordinator's own."""
        return self.document.get("site", "")

    @property
    def log_origin(self) -> str:
        return self.document["log_origin"]

    @cached_property
    def addresses(self) -> Mapping[str, str]:
        """Live chain addresses by institution; one that has revoked its chain key is not among them."""
        live = {slug: history.live("chain") for slug, history in self.histories.items()}
        return {slug: str(key.public) for slug, key in live.items() if key}

    @cached_property
    def domain(self) -> Domain:
        """The one registry contract that votes count for."""
        return Domain(self.document["chain_id"], self.document["registry"])


def _number(change: str) -> tuple[str, int]:
    said = peek(change)[1]
    sequence = said.get("sequence")
    return str(said.get("institution")), sequence if isinstance(sequence, int) else 0
