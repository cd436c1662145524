"""A node's home folder. It never leaves the institution.

node.json       who we are; where the coordinator, the broker and the chain are, and where others reach our engines
                (0600: the broker's password)
keys/           the keystore (0700)
enrolment.jws   what the institution hands to the others, to be enrolled and pinned
pins.json       whom we believe
policy.json     what we allow; without it, nothing
data.json       where our OMOP tables are, and which cohorts may be used for what (`compute.node.data`)
revoked/        the definitions that the institution has revoked its approval of, a file each: believed before any vote
recalled/       the models of its own that the institution has recalled, a file each: none is computed with
state.sqlite3   what must never be forgotten; and for a day what was dealt ahead and the seeds of recent jobs (0600)
data.csv        the institution's own rows, read by its own tools; the engine gets secret shares only
"""

import socket
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import NotRequired
from urllib.parse import urlsplit

from pydantic import with_config
from typing_extensions import TypedDict

from compute.engine.runner import LOOPBACK
from compute.node import policy
from compute.node.policy import Policy
from concordat import canonical, clock
from concordat.client import ballots, recalls
from concordat.enrolment import Role
from concordat.fields import STRICT, BrokerAddress, IPv4, Slug, WebAddress, plain, read
from concordat.files import about, write_private
from concordat.founding import ENROLMENT, found
from concordat.keystore import Keystore
from concordat.pins import FILE as PINS
from concordat.pins import Pins
from concordat.reasons import Reason, Refused


@with_config(STRICT)
class Settings(TypedDict):
    """`node.json`. `coordinator`, `broker` and `rpc` are URLs; the node trusts none of the three.

    `mesh` is the address on which this node's engines listen, and at which the others reach them; a file from before
    there was one lacks the field, and means the loopback address.
    """

    institution: Slug
    coordinator: WebAddress
    broker: BrokerAddress
    rpc: WebAddress
    mesh: NotRequired[IPv4]


class NodeHome:
    """The folder. Reading raises Refused, with the file's name in the detail where it is missing."""

    def __init__(self, directory: Path | str) -> None:
        self.directory = Path(directory)
        self._pins: tuple[tuple[int, int, int], Pins] | None = None

    @classmethod
    def create(
        cls, directory: Path | str, settings: Settings, *, name: str, jurisdiction: str, roles: Sequence[Role]
    ) -> "NodeHome":
        """Make the folder, generate whichever keys are missing, and sign the enrolment.

        Raises Refused as `found` does: HOME_TAKEN if a node lives there already, the refusal of a malformed field.
        """
        home = cls(directory)
        checked = read(settings, Settings)
        found(
            home.directory,
            ("node.json", plain(checked)),
            institution=checked["institution"],
            name=name,
            jurisdiction=jurisdiction,
            roles=roles,
        )
        return home

    @property
    def institution(self) -> str:
        return self.settings["institution"]

    @property
    def enrolment(self) -> str:
        """The signed enrolment."""
        return self._read(ENROLMENT).decode()

    @cached_property
    def settings(self) -> Settings:
        with about("node.json"):
            return read(canonical.decode(self._read("node.json")), Settings)

    @property
    def mesh(self) -> str:
        """The IPv4 address of this node's engines."""
        return self.settings.get("mesh", LOOPBACK)

    def check_mesh(self) -> None:
        """Raises Refused(FIELD_INVALID) unless engines can listen there: it has to be an address of this machine."""
        try:
            socket.create_server((self.mesh, 0)).close()
        except OSError:
            raise Refused(
                Reason.FIELD_INVALID, detail=f"{self.mesh} is no address of this machine.", field="mesh"
            ) from None

    @cached_property
    def keys(self) -> Keystore:
        return Keystore(self.directory / "keys")

    @property
    def pins(self) -> Pins:
        """Read again whenever the file was replaced, so that a key change that was pinned counts at once."""
        try:
            status = self._file(PINS).stat()
        except FileNotFoundError:
            return Pins.load(self.directory)  # which says what is missing
        version = (status.st_ino, status.st_mtime_ns, status.st_size)
        if self._pins is None or self._pins[0] != version:
            self._pins = version, Pins.load(self.directory)
        return self._pins[1]

    @property
    def site(self) -> str:
        """The origin of the page on which officers sign: the pinned one, or else the coordinator's address."""
        address = urlsplit(self.settings["coordinator"])
        return self.pins.site or f"{address.scheme}://{address.netloc}"

    @property
    def policy(self) -> Policy:
        """The policy in force now: read afresh each time, so that a change counts at once."""
        return policy.load(self._file("policy.json"))

    @property
    def policy_digest(self) -> str:
        """The digest of the policy file as it is; "" without one, which allows nothing."""
        file = self._file("policy.json")
        return canonical.digest(file.read_bytes()) if file.exists() else ""

    def check_not_revoked(self, definition: str) -> None:
        """Raises Refused(DEFINITION_NOT_APPROVED) if this folder holds the institution's own revocation."""
        if ballots.revocation(self.directory, definition).exists():
            raise Refused(
                Reason.DEFINITION_NOT_APPROVED, detail="This node's own institution has revoked its approval."
            )

    def check_not_recalled(self, model: str) -> None:
        """Raises Refused(MODEL_RECALLED) if this folder holds the institution's own recall of the model."""
        if recalls.own(self.directory, model).exists():
            raise Refused(Reason.MODEL_RECALLED, detail="This node's own institution has recalled it.")

    @property
    def state(self) -> Path:
        return self._file("state.sqlite3")

    def move(self, *, coordinator: str, broker: str, rpc: str) -> None:
        """The services behind have other addresses now; whom the node believes does not change with them."""
        self.settings = read({**self.settings, "coordinator": coordinator, "broker": broker, "rpc": rpc}, Settings)
        self._write("node.json", canonical.encode(plain(self.settings)))

    def pin(self, content: bytes) -> Pins:
        """Replace the pins. Raises Refused as `Pins.install` does, and changes nothing then."""
        identity = self.keys.identity.public
        return Pins.install(self.directory, content, institution=self.institution, identity=identity)

    def update_pins(self, changes: Iterable[str]) -> Pins:
        """Pin these key changes. Raises Refused as `Pins.update` does, and changes nothing then."""
        pins = self.pins.update(changes, now=clock.now())
        pins.save(self.directory)
        return pins

    def _file(self, name: str) -> Path:
        return self.directory / name

    def _read(self, name: str) -> bytes:
        try:
            return self._file(name).read_bytes()
        except FileNotFoundError:
            raise Refused(Reason.HOME_INCOMPLETE, detail=f"{self.directory} has no {name}.", field="home") from None

    def _write(self, name: str, content: bytes) -> None:
        write_private(self._file(name), content, replace=True)
