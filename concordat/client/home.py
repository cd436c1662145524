"""An institution's home folder: its keys, whom it trusts, and the private state of its predictions.

client.json    who we are, and where the coordinator is
pins.json      whom we believe
keys/          the keystore
votes.json     the votes that we signed; revoked/ says which definitions we revoked (`concordat.client.ballots`)
described/     one folder a model of our own: the cards that we signed of it (`concordat.client.model_cards`)
recalled/      the recalls that we signed of our own models (`concordat.client.recalls`)
checkpoint.txt the head of the log that we saw last (`concordat.client.log`)
consents/      the consents that we attested (mode 0700)
work/          one folder a prediction (mode 0700)
audits/        one folder an audit (mode 0700)
trainings/     one folder a training (mode 0700)
records.jws    to whom decisions are sealed, so that they can be reopened (`concordat.package`)
drills/        what drills of the escrow found, signed
bedside.json   what the hospital decides about its bedside (`concordat.bedside.config`)
bedside.sqlite3  results to be shown, and receipts to be handed in (`concordat.bedside.store`)
ehr.json       the FHIR server of our own patients' records, if there is one (`concordat.client.ehr`)
omop.json      the databases of our own patients' OMOP tables, if there are any (`concordat.client.omop`)
audit.ndjson   what was read of patients and disclosed, a FHIR AuditEvent a line (`concordat.client.fhir`)
models/        the models that we own, in one piece, by the manifest's digest; what was handed in of them (mode 0700)
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, NotRequired

from pydantic import with_config
from typing_extensions import TypedDict

from concordat import canonical, clock
from concordat.client.protection import passphrase_of
from concordat.enrolment import Role
from concordat.fields import STRICT, Slug, WebAddress, plain, read
from concordat.files import about, write_private
from concordat.founding import found
from concordat.keystore import Keystore
from concordat.package import read_keys
from concordat.pins import Pins
from concordat.reasons import Reason, Refused
from concordat.signatures import VerifyKey, keyring

Many = Literal["audits", "trainings"]
"""What is computed over many people: the name of its folder, of its addresses and of its scopes."""

FILE = "client.json"


@with_config(STRICT)
class Config(TypedDict):
    """The content of `client.json`: our short name, and the coordinator's address without a path. `witnessed`: no
    result is shown before enough of the pinned witnesses have cosigned a head of the log that covers it."""

    institution: Slug
    coordinator: WebAddress
    witnessed: NotRequired[bool]


class ClientHome:
    """The folder of one institution. Reading raises Refused: HOME_INCOMPLETE for a file that is missing, MALFORMED."""

    def __init__(self, directory: Path | str, passphrase: str | None = None) -> None:
        self.directory = Path(directory)
        self._passphrase = passphrase

    @classmethod
    def create(cls, directory: Path | str, config: Config) -> "ClientHome":
        """Write `client.json` into a folder that may hold keys already; an older one is replaced."""
        home = cls(directory)
        content = canonical.encode(plain(read(config, Config)))
        home.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(home._file, content, replace=True)
        return home

    @classmethod
    def found(
        cls,
        directory: Path | str,
        config: Config,
        *,
        name: str,
        jurisdiction: str,
        roles: Sequence[Role],
        passphrase: str | None = None,
    ) -> str:
        """A new institution without a node: its keys, `client.json`, and its signed enrolment. Raises as `found`."""
        checked = read(config, Config)
        return found(
            Path(directory),
            (FILE, plain(checked)),
            institution=checked["institution"],
            name=name,
            jurisdiction=jurisdiction,
            roles=roles,
            passphrase=passphrase,
        )

    @property
    def institution(self) -> str:
        return self.config["institution"]

    @cached_property
    def config(self) -> Config:
        try:
            with about(self._file.name):
                return read(canonical.decode(self._file.read_bytes()), Config)
        except FileNotFoundError:
            detail = f"{self.directory} has no client.json."
            raise Refused(Reason.HOME_INCOMPLETE, detail=detail, field="home") from None

    @cached_property
    def keys(self) -> Keystore:
        """Opened by the passphrase that was given, or by the one that the operating system's keyring holds.

        Raises Refused(KEYRING_UNAVAILABLE), besides what the keystore refuses."""
        folder = self.directory / "keys"
        return Keystore(folder, self._passphrase or passphrase_of(folder))

    @cached_property
    def pins(self) -> Pins:
        return Pins.load(self.directory)

    @property
    def name(self) -> str:
        """Our own name, as our pinned enrolment has it. Raises Refused as reading the pins does."""
        return self.pins.enrolment(self.institution).document["name"]

    def pin(self, content: bytes) -> Pins:
        """Replace the pins. Raises Refused as `Pins.install` does, and changes nothing then."""
        identity = self.keys.identity.public
        self.pins = Pins.install(self.directory, content, institution=self.institution, identity=identity)
        return self.pins

    def update_pins(self, changes: Iterable[str]) -> Pins:
        """Pin these key changes. Raises Refused as `Pins.update` does, and changes nothing then."""
        self.pins = self.pins.update(changes, now=clock.now())
        self.pins.save(self.directory)
        return self.pins

    @property
    def records_keys(self) -> str:
        """Our records-keys document (JWS), empty if we have none: decisions can then be reopened from here alone.

        Raises Refused as `concordat.package.read_keys` does, for one that no offline key of ours has signed.
        """
        try:
            token = self.records_file.read_text()
        except FileNotFoundError:
            return ""
        believed = self.pins.history(self.institution).believed("offline")
        read_keys(token, self.institution, keyring(*(VerifyKey.from_b64(str(key.public)) for key in believed)))
        return token

    @property
    def records_file(self) -> Path:
        """Where the records-keys document is kept."""
        return self.directory / "records.jws"

    @property
    def drills(self) -> Path:
        """Where the signed findings of drills are kept."""
        return self.directory / "drills"

    @property
    def consents(self) -> Path:
        """Where the consents that we attested are kept."""
        return self.directory / "consents"

    @property
    def work(self) -> Path:
        """Where the predictions' private state is kept."""
        return self.directory / "work"

    def many(self, many: Many) -> Path:
        """Where the same of audits, or of trainings, is kept."""
        return self.directory / many

    @property
    def audit(self) -> Path:
        """Where it is written down what was read of patients, and disclosed."""
        return self.directory / "audit.ndjson"

    @property
    def models(self) -> Path:
        """Where the models that we own are kept, as :mod:`concordat.model_file` writes them, and what was handed in of
        them."""
        return self.directory / "models"

    @property
    def _file(self) -> Path:
        return self.directory / FILE
