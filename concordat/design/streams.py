"""Numbers from a public seed, the same on every machine and for ever: AES, since numpy's own streams may change."""

import hashlib
from collections.abc import Iterator
from itertools import islice

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from concordat.design.common import Floats, Whole


def uniform(seed: str, label: bytes) -> Iterator[int]:
    """Uniform 32-bit integers: AES-256 in counter mode under SHA-256 of label and seed."""
    key = hashlib.sha256(label + b"\x00" + seed.encode()).digest()
    encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
    while True:
        yield int.from_bytes(encryptor.update(bytes(4)), "little")


def take(stream: Iterator[int], count: int) -> Whole:
    """(count,) the next numbers of a stream."""
    return np.fromiter(islice(stream, count), dtype=np.int64, count=count)


def open_interval(numbers: Whole) -> Floats:
    """32-bit integers as the middles of 2^32 equal parts of (0, 1); exact."""
    return (numbers.astype(np.float64) + 0.5) / 2.0**32


def choose(stream: Iterator[int], population: int, size: int) -> list[int]:
    """`size` different numbers below `population` (Fisher-Yates, by rejection so that none is favoured)."""
    items = list(range(population))
    for place in range(size):
        span = population - place
        limit = (1 << 32) - (1 << 32) % span
        draw = next(number for number in stream if number < limit)
        other = place + draw % span
        items[place], items[other] = items[other], items[place]
    return items[:size]
