"""A dossier's outer form: one zip file in its one canonical form, and a signed manifest of what is in it.

    manifest.json  manifest.jws   digest of every other file, and the coordinator's signature over the manifest
    about.json                    which decision, which log, whose key, which chain
    entries/0000042.json          an entry's exact bytes; its number is its index in the log
    log.jsonl                     every entry of the log, a line each, so that nothing is left out unnoticed
    documents/<sha256>            what entries refer to by digest
    proofs.json  checkpoint.txt   inclusion proofs, and the signed head that they lead to
    anchors.json                  the first and the last head on the chain that cover the decision
    witnesses.json                a head that covers the decision, with the witnesses' cosignatures, or null
    timestamp.txt  timestamp.tsr  the first head that covers the decision and has a time stamp, and the stamp (RFC 3161)
    timestamp.json                the proof that the bundle's head extends that one; all absent without a stamp
    openings.json                 salts and values of the private fields that this reader may see
    dossier.json  dossier.html    what the above amounts to, for machines and for people
    disclosure.json               the requester's own disclosure of the result; added later, so not in the manifest

Files are stored uncompressed, in order, without dates, so that equal content means equal bytes and nothing can hide
between them.
"""

import re
import zipfile
from collections.abc import Mapping
from io import BytesIO
from typing import Literal

from pydantic import with_config
from typing_extensions import TypedDict

from concordat import canonical, signatures
from concordat.fields import STRICT, Digest, plain, read
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey, VerifyKey

MANIFEST, SIGNATURE, DISCLOSURE = "manifest.json", "manifest.jws", "disclosure.json"
JSON, HTML = "dossier.json", "dossier.html"

_PATH = re.compile(
    r"(manifest|about|proofs|anchors|witnesses|openings|dossier|disclosure|timestamp)\.json|timestamp\.(txt|tsr)|manifest\.jws|checkpoint\.txt|dossier\.html|log\.jsonl"
    r"|entries/[0-9]{7,19}\.json|documents/[0-9a-f]{64}"
)
_MOST_BYTES = 64 * 2**20
_BEGINS = b"PK\x03\x04"
"""A zip file with something in it (APPNOTE.TXT, section 4.3.7)."""
_UNREADABLE = (zipfile.BadZipFile, RuntimeError, ValueError, OSError, EOFError, NotImplementedError)
"""What the library raises for what is no zip file, or none that it reads."""


@with_config(STRICT)
class Manifest(TypedDict):
    """Digest by path of every file but the manifest, its signature and a disclosure."""

    v: Literal[1]
    files: dict[str, Digest]


def write(files: Mapping[str, bytes]) -> bytes:
    """The zip file of these files; equal files give equal bytes."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, files[path])
    return buffer.getvalue()


def check_is_dossier(data: bytes) -> None:
    """Raises Refused(NO_DOSSIER) for what never was one: no zip file, not even the beginning of one, or a zip file with
    nothing in it that a dossier has."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            meant = any(map(_PATH.fullmatch, archive.namelist()))
    except _UNREADABLE:
        meant = data.startswith(_BEGINS)
    if not meant:
        raise Refused(Reason.NO_DOSSIER)


def unpack(data: bytes) -> dict[str, bytes]:
    """Content by path. Raises Refused: NO_DOSSIER, BUNDLE_ALTERED for anything but what `write` makes of known
    paths."""
    check_is_dossier(data)
    files: dict[str, bytes] = {}
    if len(data) > _MOST_BYTES:
        raise _altered("The bundle is too large to be a dossier.")
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > len(data):  # stored ones may only where they overlap
                raise _altered("The bundle is packed in another way than a dossier is.")
            for entry in entries:
                if entry.filename in files or not _PATH.fullmatch(entry.filename):
                    raise _altered("The bundle has a file that no dossier has, or one twice.")
                if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
                    raise _altered("The bundle is packed in another way than a dossier is.")
                files[entry.filename] = archive.read(entry)
    except _UNREADABLE as error:
        raise _altered("This is not a readable zip file.") from error
    if write(files) != data:
        raise _altered("The bundle is packed in another way than a dossier is.")
    return files


def sealed(files: Mapping[str, bytes], key: SigningKey) -> bytes:
    """The bundle of these files with their manifest, signed by the coordinator."""
    manifest: Manifest = {"v": 1, "files": {path: canonical.digest(content) for path, content in files.items()}}
    token = signatures.sign(plain(manifest), kind="dossier", key=key)
    return write({**files, MANIFEST: canonical.encode(plain(manifest)), SIGNATURE: token.encode()})


def read_manifest(files: Mapping[str, bytes], key: VerifyKey) -> Manifest:
    """The manifest, signed by `key`. Raises Refused: BUNDLE_ALTERED, SIGNATURE_INVALID, KEY_UNKNOWN …"""
    payload = signatures.verify(text(files, SIGNATURE), kind="dossier", keys=signatures.keyring(key))
    if canonical.encode(payload) != files.get(MANIFEST):
        raise _altered("The signature belongs to another manifest.")
    return read(payload, Manifest)


def check_files(files: Mapping[str, bytes], manifest: Manifest) -> None:
    """Exactly the manifest's files, with their digests. Raises Refused(BUNDLE_ALTERED), naming one that differs."""
    listed, present = set(manifest["files"]), set(files) - {MANIFEST, SIGNATURE, DISCLOSURE}
    for path in sorted(listed ^ present):
        raise _altered(f"{path} is {'missing' if path in listed else 'not in the manifest'}.")
    for path in sorted(present):
        if canonical.digest(files[path]) != manifest["files"][path]:
            raise _altered(f"{path} differs from the manifest.")


def text(files: Mapping[str, bytes], path: str) -> str:
    """A file as UTF-8. Raises Refused: BUNDLE_ALTERED if it is missing, MALFORMED."""
    if path not in files:
        raise _altered(f"The bundle has no {path}.")
    try:
        return files[path].decode()
    except UnicodeDecodeError as error:
        raise Refused(Reason.MALFORMED, detail=f"{path} is not text.") from error


def _altered(detail: str) -> Refused:
    return Refused(Reason.BUNDLE_ALTERED, detail=detail)
