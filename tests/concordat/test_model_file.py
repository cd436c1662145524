"""A model in one piece: what its owner keeps fits the manifest, and everything else is refused by name."""

import io

import numpy as np
import pytest

from concordat import canonical, model_file
from concordat.reasons import Reason, Refused
from tests.support.consortium import Consortium


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Consortium:
    return Consortium(tmp_path_factory.mktemp("consortium"))


@pytest.fixture
def kept(made: Consortium) -> bytes:
    return model_file.write(made.manifest, made.kept)


def archive(**tensors: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **tensors)
    return buffer.getvalue()


def reason(data: bytes, made: Consortium) -> Reason:
    with pytest.raises(Refused) as refused:
        model_file.load(data, made.manifest)
    return refused.value.reason


def test_what_the_owner_keeps_is_the_model_to_the_last_bit_and_is_bound(made: Consortium, kept: bytes) -> None:
    tensors, bound = model_file.load(kept, made.manifest)
    assert bound
    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        name: tensor.shape for name, tensor in made.tensors.items()
    }
    for name, tensor in tensors.items():
        assert np.abs(tensor - made.tensors[name]).max() <= 2.0**-17


def test_plain_tensors_are_read_and_nothing_binds_them(made: Consortium) -> None:
    tensors, bound = model_file.load(archive(**made.tensors), made.manifest)
    assert not bound
    assert all(np.array_equal(tensors[name], tensor) for name, tensor in made.tensors.items())


def test_a_share_that_nobody_committed_to_is_named(made: Consortium, kept: bytes) -> None:
    content = canonical.decode(kept)
    share = bytearray(canonical.unb64(content["shares"]["zurich"]["share"]))
    share[3] ^= 1
    content["shares"]["zurich"]["share"] = canonical.b64(bytes(share))
    with pytest.raises(Refused, match="zurich") as refused:
        model_file.load(canonical.encode(content), made.manifest)
    assert refused.value.reason is Reason.REPLAY_MODEL_OTHER


def test_another_model_and_missing_shares_are_refused(made: Consortium, kept: bytes) -> None:
    content = canonical.decode(kept)
    other = content | {"model": canonical.digest(b"another")}
    fewer = content | {"shares": {name: content["shares"][name] for name in ("zurich", "budapest")}}
    assert {reason(canonical.encode(each), made) for each in (other, fewer)} == {Reason.REPLAY_MODEL_OTHER}
    renamed = {f"{name}_": tensor for name, tensor in made.tensors.items()}
    longer = {name: np.append(tensor.ravel(), 0.0) for name, tensor in made.tensors.items()}
    assert {reason(archive(**each), made) for each in (renamed, longer)} == {Reason.REPLAY_MODEL_OTHER}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"not a model",
        b"\xff\xfe",
        b"PK\x03\x04 cut off",
        archive(first=np.array(["text"])),
        archive(first=np.array([{"an": "object"}], dtype=object)),
    ],
)
def test_what_is_no_model_is_unreadable_and_is_never_unpickled(made: Consortium, data: bytes) -> None:
    assert reason(data, made) is Reason.FILE_UNREADABLE
