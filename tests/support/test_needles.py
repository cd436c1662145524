"""The search for secrets finds one in every form in which it could leak: otherwise an empty answer means nothing."""

import base64
import json
import struct

import numpy as np
import pytest

from concordat import ring
from tests.support.needles import leaks

VECTOR = [0.7321, -1.25037, 0.0042, 1.0]


@pytest.mark.parametrize(
    "leak",
    [
        json.dumps({"coefficients": VECTOR}).encode(),
        b"probability 0.7321 and so on",
        b"-1.2504",
        np.array(VECTOR).tobytes(),
        np.array(VECTOR, dtype=">f8").tobytes(),
        ring.to_bytes(ring.encode(VECTOR)),
        ring.to_bytes(ring.encode(VECTOR)).hex().encode(),
        base64.b64encode(b"x" + ring.to_bytes(ring.encode(VECTOR))),
        base64.urlsafe_b64encode(b"xy" + np.array(VECTOR).tobytes()),
        struct.pack(">qq", *(round(value * 65536) for value in VECTOR[:2])),
    ],
)
def test_a_leak_is_found(leak: bytes) -> None:
    assert leaks([VECTOR], [("here", b"before" + leak + b"after")])


def test_a_clock_that_ends_like_the_secret_is_no_leak() -> None:
    assert leaks([VECTOR], [("broker", b"ZADD unacked_index 1763890010.7321")]) == []


def test_shares_of_the_secret_are_no_leak() -> None:
    shares = ring.split(ring.encode(VECTOR), 3)
    assert leaks([VECTOR], [("share", ring.to_bytes(share)) for share in shares]) == []
