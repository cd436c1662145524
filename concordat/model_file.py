"""A model in one piece, as its owner keeps it, and gives it away when a decision is to be computed again.

The opening of every party's share: together they are the weights as the engine had them, to the last bit, and each
fits the commitment in the signed manifest. An archive of plain tensors (`.npz` of numpy) is read as well, but nothing
binds it to the manifest except names and shapes: that it is this model is the owner's word.
"""

import lzma
import zipfile
import zlib
from collections.abc import Mapping
from io import BytesIO
from typing import Literal

import numpy as np
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import canonical, ring
from concordat.canonical import digest
from concordat.commitments import Share
from concordat.fields import STRICT, Digest, Slug, plain, read
from concordat.kinds import KINDS
from concordat.kinds.kind import Tensors
from concordat.model import Manifest, read_share, tensors_of
from concordat.reasons import Reason, Refused

_MOST_BYTES = 2**28
_ZIP = b"PK\x03\x04"


@with_config(STRICT)
class ModelFile(TypedDict):
    """`model` is the manifest's digest; shares with their salts, by party."""

    v: Literal[1]
    model: Digest
    shares: dict[Slug, Share]


def write(manifest: Manifest, shares: Mapping[str, Share]) -> bytes:
    """The file. Whoever holds it has the model."""
    content: ModelFile = {"v": 1, "model": digest(plain(manifest)), "shares": dict(shares)}
    return canonical.encode(plain(content))


def load(data: bytes, manifest: Manifest) -> tuple[Tensors, bool]:
    """The tensors as they are encoded, and whether the manifest's commitments bind them.

    Raises:
        Refused: FILE_UNREADABLE for what is neither kind of file; REPLAY_MODEL_OTHER for another model, or shares or
            shapes that do not fit the manifest.
    """
    content = _read(data)
    if not isinstance(content, Arrays):
        return _checked(content, manifest), True
    return _encoded(content, manifest), False


def check_readable(data: bytes) -> None:
    """Whether it is a model's file at all, of whichever model. Raises Refused(FILE_UNREADABLE)."""
    _read(data)


class Arrays(dict[str, np.ndarray]):
    """The arrays of an archive, by name."""


def _read(data: bytes) -> ModelFile | Arrays:
    if len(data) > _MOST_BYTES:
        raise Refused(Reason.FILE_UNREADABLE, detail="The file is too large to be a model's.")
    if is_archive(data):
        return arrays(data)
    try:
        return read(canonical.decode(data), ModelFile)
    except Refused as refused:
        detail = f"This is no model's file, and no .npz archive: {refused.detail}"
        raise Refused(Reason.FILE_UNREADABLE, detail=detail, field=refused.field) from None


def is_archive(data: bytes) -> bool:
    """Whether it may be an archive of arrays, by how it begins."""
    return data.startswith(_ZIP)


def _checked(content: ModelFile, manifest: Manifest) -> Tensors:
    if content["model"] != digest(plain(manifest)):
        raise Refused(Reason.REPLAY_MODEL_OTHER)
    if set(content["shares"]) != set(manifest["parties"]):
        raise Refused(Reason.REPLAY_MODEL_OTHER, detail="The file has not exactly one share of each party.")
    return _combined(content["shares"], manifest)


def _combined(shares: Mapping[str, Share], manifest: Manifest) -> Tensors:
    opened = []
    for party, share in shares.items():
        try:
            opened.append(tensors_of(manifest, read_share(manifest, party, share)))
        except Refused:
            detail = f"The share of {party} is not the one that the manifest commits to."
            raise Refused(Reason.REPLAY_MODEL_OTHER, detail=detail, field=party) from None
    whole = KINDS[manifest["kind"]].whole
    return {
        name: ring.decode(ring.combine([each[name] for each in opened]), 0 if name in whole else ring.BITS)
        for name in opened[0]
    }


_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    OSError,
    ValueError,
    TypeError,
    EOFError,
    KeyError,
    RuntimeError,
    MemoryError,
)
"""What zipfile and numpy raise over bytes that are no archive of arrays: encrypted, damaged, or said to be huge."""


def arrays(data: bytes) -> Arrays:
    """The float64 arrays of an archive (`.npz` of numpy). Raises Refused(FILE_UNREADABLE)."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            if sum(each.file_size for each in archive.infolist()) > _MOST_BYTES:
                raise Refused(Reason.FILE_UNREADABLE, detail="The archive is too large to be a model's.")
        with np.load(BytesIO(data), allow_pickle=False) as found:
            return Arrays({name: np.asarray(found[name], dtype=np.float64) for name in found.files})
    except _UNREADABLE as error:
        raise Refused(Reason.FILE_UNREADABLE, detail="This is no .npz archive of numbers.") from error


def _encoded(tensors: Mapping[str, np.ndarray], manifest: Manifest) -> Tensors:
    expected = {tensor["name"]: tuple(tensor["shape"]) for tensor in manifest["tensors"]}
    if {name: tensor.shape for name, tensor in tensors.items()} != expected:
        wanted = ", ".join(f"{name} {shape}" for name, shape in expected.items())
        raise Refused(Reason.REPLAY_MODEL_OTHER, detail=f"The manifest has the tensors: {wanted}.")
    return dict(tensors)
