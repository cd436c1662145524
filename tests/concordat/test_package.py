"""A records package opens by each of its two keys, in its own place, and by nothing else."""

import copy
from typing import Any
from uuid import uuid4

import pytest

from concordat import canonical, clock, escrow, package
from concordat.canonical import b64, unb64
from concordat.package import Package, Signed
from concordat.reasons import Reason, Refused
from concordat.sealing import SealingKey
from concordat.signatures import SigningKey, keyring

CONTENT = {"v": 1, "request": "a.b.c", "place": 0, "inputs": {}}
REQUEST = str(uuid4())
OFFLINE, IDENTITY, RECORDS = SigningKey.generate(), SigningKey.generate(), SealingKey.generate()


def refusal(reason: Reason) -> Any:
    return pytest.raises(Refused, match=f"^{reason}:")


@pytest.fixture(scope="module")
def dealt() -> Any:
    return escrow.create(["anna", "ben", "chris"], 2)


@pytest.fixture(scope="module")
def keys(dealt: Any) -> str:
    return package.sign_keys(
        institution="long-beach", records=RECORDS.public, terms=dealt[0], issued=clock.now(), offline=OFFLINE
    )


def seal(keys: str, content: Any = CONTENT) -> Signed:
    return package.seal(content, request=REQUEST, stage="request", keys=keys, now=clock.now(), key=IDENTITY)


@pytest.fixture(scope="module")
def sealed(keys: str) -> Package:
    return package.read_package(seal(keys).package.encode())


def test_the_records_key_opens_it_and_so_do_officers(sealed: Package, dealt: Any) -> None:
    officers = escrow.recombine(package.terms_of(sealed)["escrow"], dealt[1][1:])
    for key, lock in ((RECORDS, "records"), (officers, "escrow")):
        assert canonical.decode(package.open_package(sealed, key, lock)) == CONTENT  # type: ignore[arg-type]
    assert package.key_ids(sealed) == {"records": RECORDS.kid, "escrow": officers.kid}


def test_neither_opens_in_the_others_place(sealed: Package, dealt: Any) -> None:
    officers = escrow.recombine(package.terms_of(sealed)["escrow"], dealt[1][:2])
    swapped: Any = copy.deepcopy(sealed)
    swapped["wrapped"] = {"records": sealed["wrapped"]["escrow"], "escrow": sealed["wrapped"]["records"]}
    for key, lock in ((officers, "records"), (RECORDS, "escrow"), (SealingKey.generate(), "records")):
        for each in (sealed, swapped):
            with refusal(Reason.SEAL_BROKEN):
                package.open_package(each, key, lock)  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["institution", "request", "stage", "keys", "sealed"])
def test_a_package_opens_as_itself_only(sealed: Package, field: str) -> None:
    changed: Any = dict(sealed)
    raw = bytearray(unb64(sealed["sealed"]))
    raw[-1] ^= 1
    others = {"institution": "mayo", "request": str(uuid4()), "stage": "result", "keys": sealed["keys"] + "A"}
    changed[field] = b64(bytes(raw)) if field == "sealed" else others[field]
    with refusal(Reason.SEAL_BROKEN):
        package.open_package(changed, RECORDS, "records")


def test_two_packages_of_one_content_have_nothing_in_common(keys: str) -> None:
    first, second = (package.read_package(seal(keys).package.encode()) for _ in range(2))
    assert first["sealed"] != second["sealed"]
    assert set(first["wrapped"].values()).isdisjoint(second["wrapped"].values())


def test_the_statement_names_the_packages_digest(keys: str) -> None:
    signed = seal(keys)
    said = package.read_statement(signed.statement, {"long-beach": keyring(IDENTITY.public)})
    assert said["package"] == canonical.digest(signed.package.encode())
    with refusal(Reason.KEY_UNKNOWN):
        package.read_statement(signed.statement, {"long-beach": keyring(OFFLINE.public)})


def test_a_package_has_a_size_and_one_form(keys: str) -> None:
    with refusal(Reason.TOO_LARGE):
        seal(keys, {"long": "x" * package.LARGEST})
    with refusal(Reason.TOO_LARGE):
        package.read_package(b" " * (package.LARGEST + 1))
    with refusal(Reason.MALFORMED):
        package.read_package(seal(keys).package.encode() + b" ")


def test_records_keys_are_an_institutions_own_and_its_offline_keys_word(keys: str) -> None:
    assert package.read_keys(keys, "long-beach", keyring(OFFLINE.public))["records"] == RECORDS.public
    with refusal(Reason.KEY_UNKNOWN):
        package.read_keys(keys, "long-beach", keyring(IDENTITY.public))
    with refusal(Reason.WRONG_INSTITUTION):
        package.read_keys(keys, "mayo", keyring(OFFLINE.public))
