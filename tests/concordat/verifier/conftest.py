"""A real dossier, made once, and a forger who holds the coordinator's key."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test.utils import override_settings

from concordat import canonical, checkpoint, clock, commitments, cosignature, merkle
from concordat.canonical import b64
from concordat.keystore import Keystore
from concordat.signatures import SigningKey
from concordat.verifier import bundle
from concordat.verifier.examine import summary
from ledger import dossier
from ledger.models import LogEntry
from ledger.services.publish import publish
from tests.support import tabular
from tests.support.decision import SETTINGS, Computed, Decision

DISCLOSED = ("request_statement", "display", "consent", "subject", "statement")


@dataclass
class Dossier:
    """The bundle, what it came from, and every leaf of the log."""

    decision: Decision
    data: bytes
    leaves: list[bytes]
    key: SigningKey

    @property
    def files(self) -> dict[str, bytes]:
        return bundle.unpack(self.data)

    @property
    def evidence(self) -> dict[str, bytes]:
        """The files on which conclusions rest, without envelope and summary."""
        left_out = {bundle.MANIFEST, bundle.SIGNATURE, bundle.JSON, bundle.HTML}
        return {path: content for path, content in self.files.items() if path not in left_out}

    def sealed(self, files: dict[str, bytes]) -> bytes:
        """What a lying coordinator hands out: the summary drawn and the manifest signed anew."""
        return bundle.sealed({**files, **summary(files)}, self.key)


@dataclass
class Forger:
    """Rewrites the whole log, consistently, and signs it: only what others have signed can give the forger away."""

    dossier: Dossier
    contents: dict[int, dict[str, Any]] = field(default_factory=dict)
    documents: dict[str, bytes] = field(default_factory=dict)
    opened: dict[str, Any] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    cosigners: Mapping[str, SigningKey] = field(default_factory=dict)
    without_log: bool = False

    def __post_init__(self) -> None:
        files = self.dossier.evidence
        self.contents = {index: canonical.decode(leaf) for index, leaf in enumerate(self.dossier.leaves)}
        self.shown = [int(path[8:-5]) for path in files if path.startswith("entries/")]
        self.documents = {path[10:]: data for path, data in files.items() if path.startswith("documents/")}
        self.openings = canonical.decode(files["openings.json"])
        self.about = canonical.decode(files["about.json"])

    def index(self, name: str) -> int:
        return self.dossier.decision.entries[name].index

    def entry(self, name: str) -> dict[str, Any]:
        return self.contents[self.index(name)]

    def document(self, name: str, document: str) -> Any:
        return canonical.decode(self.documents[self.entry(name)["documents"][document][7:]])

    def put(self, name: str, document: str, value: Any) -> None:
        """Another document in the place of the one that the entry names."""
        data = value.encode() if isinstance(value, str) else canonical.encode(value)
        self.documents[canonical.digest(data)[7:]] = data
        self.entry(name)["documents"][document] = canonical.digest(data)

    def reveal(self, name: str, private: str, value: Any) -> None:
        """Another value behind the commitment."""
        salt = commitments.new_salt()
        self.openings["opened"][str(self.index(name))][private] = {"salt": b64(salt), "value": value}
        self.entry(name)["commitments"][private] = commitments.commit(commitments.FIELD, salt, canonical.encode(value))

    def move(self, name: str, place: int) -> None:
        """Let an entry be recorded elsewhere: the two entries swap their places in the log."""
        index = self.index(name)
        self.contents[index], self.contents[place] = self.contents[place], self.contents[index]
        for part in self.openings.values():
            first, second = part.pop(str(index), None), part.pop(str(place), None)
            part |= {key: value for key, value in ((str(place), first), (str(index), second)) if value is not None}
        there = {
            self.shown.index(each): other for each, other in ((index, place), (place, index)) if each in self.shown
        }
        for position, other in there.items():
            self.shown[position] = other

    def erase(self, name: str) -> None:
        """Let it never have been recorded: another entry, which concerns nobody, stands in its place."""
        self.hide(name)
        nothing = {"event": "dossier.read", "public": {}, "documents": {}, "commitments": {}}
        self.contents[self.index(name)] |= nothing

    def hide(self, name: str) -> None:
        """Leave it out of the dossier, though it is in the log."""
        index = self.index(name)
        self.shown.remove(index)
        for part in self.openings.values():
            part.pop(str(index), None)

    def forge(self) -> bytes:
        hashes = [merkle.leaf_hash(canonical.encode(self.contents[index])) for index in range(len(self.contents))]
        size, origin = len(hashes), self.about["log"]
        head = checkpoint.Checkpoint(origin, size, merkle.root(hashes))

        def subtree(start: int, stop: int) -> bytes:
            return merkle.root(hashes[start:stop])

        note = checkpoint.sign(head, self.dossier.key, origin)
        lines = "".join(
            cosignature.cosign(head.body, key, cosignature.name_of(origin, slug), clock.now())
            for slug, key in self.cosigners.items()
        )
        cosigned = {"note": note + lines, "consistency": []} if lines else None
        named = {digest[7:] for index in self.shown for digest in self.contents[index]["documents"].values()}
        paths = {
            str(index): [b64(node) for node in merkle.inclusion_proof(index, size, subtree)] for index in self.shown
        }
        files = {
            "about.json": canonical.encode(self.about),
            "anchors.json": b"[]",
            "witnesses.json": canonical.encode({"head": cosigned}),
            "checkpoint.txt": note.encode(),
            "log.jsonl": b"".join(canonical.encode(self.contents[index]) + b"\n" for index in range(size)),
            "openings.json": canonical.encode(self.openings),
            "proofs.json": canonical.encode({"size": size, "paths": paths}),
        }
        files |= {f"entries/{index:07d}.json": canonical.encode(self.contents[index]) for index in self.shown}
        files |= {f"documents/{name}": self.documents[name] for name in named}
        if self.without_log:
            del files["log.jsonl"]
        return self.dossier.sealed(files)


@pytest.fixture(scope="session")
def dossier_of_a_decision(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Dossier:
    with django_db_blocker.unblock():
        return _made(tmp_path_factory.mktemp("consortium"))


@pytest.fixture(scope="session")
def dossier_of_a_forest(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Dossier:
    """The same for a forest, which is explained in probability."""
    with django_db_blocker.unblock():
        return _made(tmp_path_factory.mktemp("consortium"), kind="forest", target="probability")


@pytest.fixture(scope="session")
def dossier_of_classes(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Dossier:
    """The same for a network of several classes, and what came out is what the model computes."""
    with django_db_blocker.unblock():
        return _made(tmp_path_factory.mktemp("consortium"), Computed, kind="mlp-classes")


@pytest.fixture(scope="session")
def dossier_of_a_computation(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Dossier:
    """The same, and what came out is what the model computes."""
    with django_db_blocker.unblock():
        return _made(tmp_path_factory.mktemp("consortium"), Computed)


def _made(root: Path, kind_of: type[Decision] = Decision, **changes: Any) -> Dossier:
    """Recorded in a transaction that is rolled back, so that the database stays empty for others."""
    from django.db import transaction

    with override_settings(**SETTINGS), transaction.atomic():
        decision = kind_of.make(root, **changes)
        publish()
        made = Dossier(
            decision,
            dossier.build(decision.index, disclose=DISCLOSED),
            [bytes(entry.leaf) for entry in LogEntry.objects.order_by("index")],
            Keystore(settings.KEYS_DIR).identity,
        )
        transaction.set_rollback(True)
    return made


@pytest.fixture
def made(dossier_of_a_decision: Dossier) -> Dossier:
    return dossier_of_a_decision


@pytest.fixture
def forger(made: Dossier) -> Forger:
    return Forger(made)


@pytest.fixture(scope="session")
def dossier_of_a_tabular_design(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Dossier:
    """The same for a design whose operator is the requester's secret."""
    with django_db_blocker.unblock():
        return _made(tmp_path_factory.mktemp("consortium"), given_design=tabular.document())


@pytest.fixture(scope="session")
def dossier_of_a_tabular_computation(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Dossier:
    """That of a tabular design, and what came out is what the model computes."""
    with django_db_blocker.unblock():
        return _made(tmp_path_factory.mktemp("consortium"), Computed, given_design=tabular.document())
