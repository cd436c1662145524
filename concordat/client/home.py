"""An institution's home folder: its keys, whom it trusts, and the private state of its predictions.

    client.json    who we are, where the coordinator is, and what we pinned about everyone else
    keys/          the keystore
    consents/      the consents that we attested (mode 0700)
    work/          one folder a prediction (mode 0700)

Pins are compared with their owners by other means (a telephone call, a signed letter) before they are written here.
What the coordinator says later is believed only as far as it agrees with them.
"""

from functools import cached_property
from pathlib import Path

from pydantic import with_config
from typing_extensions import TypedDict

from concordat import canonical
from concordat.documents import Keyring
from concordat.enrolment import Enrolment, verify_enrolment
from concordat.fields import STRICT, Slug, Text, plain, read
from concordat.keystore import Keystore
from concordat.reasons import Reason, Refused
from concordat.signatures import VerifyKey, keyring


@with_config(STRICT)
class Pins(TypedDict):
    """Whom we trust; an institution's node keeps the same document.

    Attributes:
        coordinator_key: signs tickets and the log's checkpoints (Ed25519, base64url).
        log_origin: the name of the log, and of its key in a checkpoint.
        enrolments: the institutions' enrolments (JWS) by their short names.
        chain_id, registry: where votes count; the registry is the contract's address.
    """

    coordinator_key: Text
    log_origin: Text
    enrolments: dict[Slug, str]
    chain_id: int
    registry: Text


@with_config(STRICT)
class Config(TypedDict):
    """The content of `client.json`: our short name, and the coordinator's address without a path."""

    institution: Slug
    coordinator: Text
    pins: Pins


class Home:
    """The folder of one institution.

    Reading raises Refused: NOT_FOUND without a client.json, MALFORMED, or what a pinned enrolment is refused for.
    """

    def __init__(self, directory: Path | str) -> None:
        self.directory = Path(directory)

    @classmethod
    def create(cls, directory: Path | str, config: Config) -> "Home":
        """Write `client.json` into a folder that may hold keys already; an older one is replaced."""
        home = cls(directory)
        content = canonical.encode(plain(read(config, Config)))
        home.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        home._file.write_bytes(content)
        return home

    @property
    def institution(self) -> str:
        return self.config["institution"]

    @property
    def pins(self) -> Pins:
        return self.config["pins"]

    @cached_property
    def config(self) -> Config:
        try:
            return read(canonical.decode(self._file.read_bytes()), Config)
        except FileNotFoundError:
            detail = "There is no client.json in the institution's folder."
            raise Refused(Reason.NOT_FOUND, detail=detail, field="home") from None

    @cached_property
    def keys(self) -> Keystore:
        return Keystore(self.directory / "keys")

    @cached_property
    def enrolments(self) -> dict[str, Enrolment]:
        """The pinned enrolments, verified, by institution."""
        found = {slug: verify_enrolment(token) for slug, token in self.pins["enrolments"].items()}
        for slug, enrolment in found.items():
            if enrolment.institution != slug:
                raise Refused(Reason.WRONG_INSTITUTION, detail="A pinned enrolment is another's.", field=slug)
        return found

    @cached_property
    def keyring(self) -> Keyring:
        """The pinned identity keys, by institution and key id."""
        return {slug: keyring(enrolment.identity) for slug, enrolment in self.enrolments.items()}

    @cached_property
    def coordinator_key(self) -> VerifyKey:
        return VerifyKey.from_b64(self.pins["coordinator_key"])

    def enrolment(self, institution: str) -> Enrolment:
        """A pinned institution's enrolment. Raises Refused(KEY_UNKNOWN)."""
        if institution not in self.enrolments:
            raise Refused(Reason.KEY_UNKNOWN, detail=f"{institution} is not pinned here.", field=institution)
        return self.enrolments[institution]

    @property
    def consents(self) -> Path:
        """Where the consents that we attested are kept."""
        return self.directory / "consents"

    @property
    def work(self) -> Path:
        """Where the predictions' private state is kept."""
        return self.directory / "work"

    @property
    def _file(self) -> Path:
        return self.directory / "client.json"
