"""Where every mask, share and sharing of zero comes from: AES-256 in counter mode under keys of this job alone.

Counter mode under a uniform key is a pseudo-random generator (NIST SP 800-38A; Bellare, Desai, Jokipii, Rogaway, FOCS
'97). torch's generators are Mersenne Twisters, 312 outputs of which predict the rest; none of them is used here.
"""

import math
import os
from collections.abc import Sequence

import numpy as np
import torch
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from torch import Tensor

KEY_BYTES = 32


class Stream:
    """An endless sequence of uniform bytes. Whoever has the same key and draws the same amounts gets the same."""

    def __init__(self, key: bytes) -> None:
        self._encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()

    def ring(self, shape: Sequence[int]) -> Tensor:
        """Uniform elements of Z/2^64 (int64)."""
        return torch.from_numpy(self._take(8 * math.prod(shape)).view(np.int64).reshape(tuple(shape)))

    def tables(self, shape: Sequence[int]) -> Tensor:
        """Uniform words of 16 bits (int32)."""
        words = self._take(2 * math.prod(shape)).view(np.uint16).astype(np.int32)
        return torch.from_numpy(words.reshape(tuple(shape)))

    def bits(self, shape: Sequence[int]) -> Tensor:
        """Uniform bits, one an element (uint8)."""
        count = math.prod(shape)
        unpacked = np.unpackbits(self._take(-(-count // 8)), count=count, bitorder="little")
        return torch.from_numpy(unpacked.reshape(tuple(shape)))

    def _take(self, count: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
        return np.frombuffer(bytearray(self._encryptor.update(bytes(count))), dtype=np.uint8)


def new_key() -> bytes:
    """A uniform key from the operating system."""
    return os.urandom(KEY_BYTES)


def derive(*secrets: bytes, label: str) -> bytes:
    """A key from what two sides have each drawn and told the other in confidence (HKDF-SHA256, RFC 5869)."""
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=f"concordat/engine/v2/{label}".encode()).derive(b"".join(secrets))
