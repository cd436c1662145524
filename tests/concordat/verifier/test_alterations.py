"""Whatever is changed in a bundle is noticed by the right check, whether by an outsider or by the coordinator.

An alteration is drawn by chance from a kind; a kind says which reasons are right for it. An outsider has no key; the
coordinator draws the summary and signs the manifest anew.
"""

import random
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concordat import canonical, signatures
from concordat.canonical import b64, unb64
from concordat.events import Event
from concordat.reasons import Reason
from concordat.verifier import Options, bundle, verify
from concordat.verifier.examine import Status

pytestmark = pytest.mark.django_db

R = Reason
Files = dict[str, bytes]
Dice = random.Random

UNREADABLE = {R.MALFORMED, R.FIELD_INVALID, R.FIELD_UNKNOWN, R.FIELD_MISSING}
ENVELOPE = {R.BUNDLE_ALTERED, R.SIGNATURE_INVALID, R.KEY_UNKNOWN, R.MALFORMED} | UNREADABLE


def failures(data: bytes, options: Options | None = None) -> dict[str, Reason | None]:
    return {check.name: check.reason for check in verify(data, options).checks if check.status is Status.FAILED}


# --- what is drawn


def spoilt(data: bytes, dice: Dice) -> bytes:
    """One bit is another."""
    changed = bytearray(data)
    changed[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def a_path(files: Mapping[str, bytes], start: str, dice: Dice) -> str:
    """Documents' names are made anew in every run: by length, the same is drawn again as far as can be."""
    paths = [path for path in files if path.startswith(start)]
    return dice.choice(sorted(paths, key=lambda path: (len(files[path]), path)))


def changed(path: str, change: Callable[[Any, Dice], None]) -> Callable[[Files, Dice], Files]:
    """A file of JSON with something else in it, in canonical form still."""

    def alter(files: Files, dice: Dice) -> Files:
        content = canonical.decode(files[path])
        change(content, dice)
        return files | {path: canonical.encode(content)}

    return alter


def an_opening(openings: Any, dice: Dice) -> Any:
    fields = openings["opened"][dice.choice(sorted(openings["opened"], key=int))]
    return fields[dice.choice(sorted(fields))]


def other_value(openings: Any, dice: Dice) -> None:
    opening = an_opening(openings, dice)
    place = dice.randrange(len(opening["value"]))
    opening["value"] = opening["value"][:place] + "#" + opening["value"][place + 1 :]


def other_salt(openings: Any, dice: Dice) -> None:
    opening = an_opening(openings, dice)
    opening["salt"] = b64(spoilt(unb64(opening["salt"]), dice))


def other_proof(proofs: Any, dice: Dice) -> None:
    path = proofs["paths"][dice.choice(sorted(proofs["paths"], key=int))]
    place = dice.randrange(len(path))
    path[place] = b64(spoilt(unb64(path[place]), dice))


def swapped_proofs(proofs: Any, dice: Dice) -> None:
    first, second = dice.sample(sorted(proofs["paths"], key=int), 2)
    proofs["paths"][first], proofs["paths"][second] = proofs["paths"][second], proofs["paths"][first]


def bit(start: str) -> Callable[[Files, Dice], Files]:
    def alter(files: Files, dice: Dice) -> Files:
        path = a_path(files, start, dice)
        return files | {path: spoilt(files[path], dice)}

    return alter


def receipts(files: Files, dice: Dice) -> Files:
    """A signature, a number or a name in what the nodes signed for."""
    entries = (canonical.decode(data) for path, data in files.items() if path.startswith("entries/"))
    decision = next(entry for entry in entries if entry["event"] == Event.PREDICTION_RECORDED)
    path = "documents/" + decision["documents"]["receipts"][7:]
    return files | {path: spoilt(files[path], dice)}


def swapped(start: str) -> Callable[[Files, Dice], Files]:
    """Two files change places."""

    def alter(files: Files, dice: Dice) -> Files:
        first, second = dice.sample(sorted(path for path in files if path.startswith(start)), 2)
        return files | {first: files[second], second: files[first]}

    return alter


def swapped_lines(files: Files, dice: Dice) -> Files:
    lines = files["log.jsonl"].splitlines(keepends=True)
    first, second = dice.sample(range(len(lines)), 2)
    lines[first], lines[second] = lines[second], lines[first]
    return files | {"log.jsonl": b"".join(lines)}


def cut(start: str) -> Callable[[Files, Dice], Files]:
    """A file ends early."""

    def alter(files: Files, dice: Dice) -> Files:
        path = a_path(files, start, dice)
        return files | {path: files[path][: dice.randrange(len(files[path]))]}

    return alter


@dataclass(frozen=True)
class Kind:
    """`alone`: by an outsider, who cannot sign; else by the coordinator."""

    alter: Callable[[Files, Dice], Files]
    reasons: set[Reason]
    alone: bool = False


_ENTRY = UNREADABLE | {R.ENTRY_ALTERED, R.INCLUSION_INVALID, R.DOCUMENT_ALTERED, R.OPENING_MISMATCH}

KINDS = {
    "a bit of an entry": Kind(bit("entries/"), _ENTRY),
    "an opened payload": Kind(changed("openings.json", other_value), {R.OPENING_MISMATCH}),
    "a salt": Kind(changed("openings.json", other_salt), {R.OPENING_MISMATCH}),
    "a bit of the openings": Kind(bit("openings.json"), UNREADABLE | {R.OPENING_MISMATCH}),
    "a proof": Kind(changed("proofs.json", other_proof), {R.INCLUSION_INVALID}),
    "a bit of the proofs": Kind(bit("proofs.json"), UNREADABLE | {R.INCLUSION_INVALID, R.CHECKPOINT_INVALID}),
    "a bit of the checkpoint": Kind(bit("checkpoint.txt"), {R.CHECKPOINT_INVALID, R.MALFORMED}),
    "a bit of a receipt": Kind(receipts, {R.DOCUMENT_ALTERED}),
    "a bit of a document": Kind(bit("documents/"), {R.DOCUMENT_ALTERED}),
    "a bit of the log's tiles": Kind(bit("log.jsonl"), {R.INCOMPLETE}),
    "entries that change places": Kind(swapped("entries/"), {R.INCLUSION_INVALID, R.OPENING_MISMATCH, R.NOT_FOUND}),
    "proofs that change places": Kind(changed("proofs.json", swapped_proofs), {R.INCLUSION_INVALID}),
    "documents that change places": Kind(swapped("documents/"), {R.DOCUMENT_ALTERED}),
    "lines of the log that change places": Kind(swapped_lines, {R.INCOMPLETE}),
    "an entry that ends early": Kind(cut("entries/"), UNREADABLE),
    "a document that ends early": Kind(cut("documents/"), {R.DOCUMENT_ALTERED}),
    "a log that ends early": Kind(cut("log.jsonl"), {R.INCOMPLETE}),
    "a bit of what witnesses signed": Kind(bit("witnesses.json"), UNREADABLE),
    "a bit of the manifest's signature": Kind(bit("manifest.jws"), ENVELOPE, alone=True),
    "a bit of the manifest": Kind(bit("manifest.json"), {R.BUNDLE_ALTERED}, alone=True),
    "a bit of anything": Kind(bit(""), ENVELOPE | {R.NOT_FOUND}, alone=True),
}
SEEDS = 10


def draw(made: Any, name: str, seed: int) -> bytes:
    kind, dice = KINDS[name], Dice(f"{name} {seed}")
    files = made.files if kind.alone else made.evidence
    altered = kind.alter(dict(files), dice)
    if altered == files:  # the same drawn twice
        return draw(made, name, seed + 1000)
    return bundle.write(altered) if kind.alone else bytes(made.sealed(altered))


def check_noticed(made: Any, name: str, seed: int) -> None:
    found = failures(draw(made, name, seed))
    assert found, f"{name}, {seed}: not noticed"
    assert set(found.values()) <= KINDS[name].reasons, (name, seed, found)


# --- two hundred, and any other


@pytest.mark.full
@pytest.mark.parametrize("name", KINDS)
def test_two_hundred_alterations_are_noticed_for_the_right_reason(made: Any, name: str) -> None:
    assert len(KINDS) * SEEDS >= 200
    for seed in range(SEEDS):
        check_noticed(made, name, seed)
    assert failures(made.data) == {}


@given(name=st.sampled_from(sorted(KINDS)), seed=st.integers(0, 2**32))
@settings(max_examples=25)
def test_any_alteration_is_noticed_for_the_right_reason(dossier_of_a_decision: Any, name: str, seed: int) -> None:
    check_noticed(dossier_of_a_decision, name, seed)


def test_who_signs_what_was_not_altered_is_believed(made: Any) -> None:
    assert failures(made.data) == failures(made.sealed(made.evidence)) == {}
    assert made.sealed(made.evidence) == made.data


@given(cuts=st.integers(1, 10_000))
@settings(max_examples=20)
def test_a_shortened_bundle_is_refused(dossier_of_a_decision: Any, cuts: int) -> None:
    assert failures(dossier_of_a_decision.data[:-cuts]) == {"bundle": R.BUNDLE_ALTERED}


# --- the envelope


def test_what_never_was_a_dossier_is_told_from_one_that_was_altered(made: Any) -> None:
    other = BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("word/document.xml", "text")
    for data in (b"", b"# A text\n", other.getvalue()):
        assert failures(data) == {"bundle": R.NO_DOSSIER}
    assert failures(made.data[:100]) == {"bundle": R.BUNDLE_ALTERED}


def test_nothing_hides_before_behind_or_between_the_files(made: Any) -> None:
    for data in (b"x" + made.data, made.data + b"x"):
        assert failures(data) == {"bundle": R.BUNDLE_ALTERED}


@pytest.mark.parametrize("path", ["entries/0000000.json", "documents/" + "0" * 64, "readme.txt", "../escape"])
def test_an_extra_file_is_refused(made: Any, path: str) -> None:
    assert failures(bundle.write(made.files | {path: b"{}"})) == {"bundle": R.BUNDLE_ALTERED}


def test_every_missing_file_is_noticed(made: Any) -> None:
    for path in made.files:
        left = {name: content for name, content in made.files.items() if name != path}
        assert failures(bundle.write(left)) == {"bundle": R.BUNDLE_ALTERED}, path


def test_a_dossier_that_says_more_than_its_evidence_is_refused(made: Any) -> None:
    page = made.files[bundle.HTML].replace(b"cardiologist", b"oncologist")
    lied = made.evidence | {bundle.JSON: made.files[bundle.JSON], bundle.HTML: page}
    assert failures(bundle.sealed(lied, made.key)) == {"summary": R.BUNDLE_ALTERED}


# --- strict shapes, even where the coordinator signs for them


JSON_FILES = ["about.json", "anchors.json", "openings.json", "proofs.json", "witnesses.json"]


def first_object(text: bytes, more: bytes) -> bytes:
    """Something more in the first object of a file; in an empty list, an object of its own."""
    return text.replace(b"{", b"{" + more + b",", 1) if b"{" in text else b"[{" + more + b"}]"


@pytest.mark.parametrize("path", [*JSON_FILES, "entries/"])
def test_a_field_that_nobody_knows_is_refused(made: Any, path: str) -> None:
    path = a_path(made.evidence, path, Dice(1))
    content = canonical.decode(first_object(made.evidence[path], b'"aaa":1'))
    found = failures(made.sealed(made.evidence | {path: canonical.encode(content)}))
    assert set(found.values()) <= {R.FIELD_UNKNOWN, R.FIELD_MISSING if path == "anchors.json" else R.FIELD_UNKNOWN}
    assert found


@pytest.mark.parametrize("path", [*JSON_FILES, "entries/"])
def test_a_key_that_stands_twice_is_refused(made: Any, path: str) -> None:
    path = a_path(made.evidence, path, Dice(1))
    doubled = first_object(made.evidence[path], b'"v":1,"v":1')
    (reason,) = failures(made.sealed(made.evidence | {path: doubled})).values()
    assert reason is R.MALFORMED


def manifest(made: Any, **more: Any) -> bytes:
    """The same files under a manifest that the coordinator signed, with something more in it."""
    said = canonical.decode(made.files[bundle.MANIFEST]) | more
    token = signatures.sign(said, kind="dossier", key=made.key)
    return bundle.write(made.files | {bundle.MANIFEST: canonical.encode(said), bundle.SIGNATURE: token.encode()})


def test_the_manifest_is_signed_and_as_strict(made: Any) -> None:
    assert failures(manifest(made)) == {}
    assert failures(manifest(made, more="x")) == {"bundle": R.FIELD_UNKNOWN}
    assert failures(manifest(made, v=2)) == {"bundle": R.FIELD_INVALID}
    doubled = made.files[bundle.MANIFEST].replace(b"{", b'{"v":1,', 1)
    assert failures(bundle.write(made.files | {bundle.MANIFEST: doubled})) == {"bundle": R.BUNDLE_ALTERED}


def test_a_disclosure_is_as_strict(made: Any) -> None:
    good = canonical.encode(made.decision.disclosure)
    unknown = canonical.encode(made.decision.disclosure | {"more": 1})
    doubled = good.replace(b"{", b'{"v":2,', 1)
    assert failures(made.data, Options(disclosure=good)) == {}
    assert failures(made.data, Options(disclosure=unknown)) == {"disclosure": R.FIELD_UNKNOWN}
    assert failures(made.data, Options(disclosure=doubled)) == {"disclosure": R.MALFORMED}
