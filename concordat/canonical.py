"""One value, one byte string: canonical JSON after RFC 8785, restricted so that it cannot be read in two ways.

Signed and hashed documents carry no floats (decimals are strings) and no integers beyond 2^53 - 1, because JSON readers
disagree about both. Reading is strict: a duplicate key is an error, not a silent choice of one of the two.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import rfc8785

from concordat.reasons import Reason, Refused

Json = None | bool | int | str | Sequence["Json"] | Mapping[str, "Json"]

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LARGEST = 2**53 - 1
DEEPEST = 64
_ASCII = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True, default=dict)
"""Ten times as fast as `rfc8785`, and the same for what `_check` lets pass, if it is ASCII throughout."""
_FEW_BRACKETS = 64
"""A text with so many opening brackets at most is not nested too deeply, whatever it says."""


def encode(value: Json) -> bytes:
    """Canonical bytes of `value`.

    Raises Refused(MALFORMED) for floats, large integers, keys that are no strings, and nesting beyond 64 levels.
    """
    _check(value, [])
    text = _ASCII.encode(value)
    # RFC 8785 sorts keys by UTF-16 code units, which Python does only as long as all letters are ASCII.
    return text.encode() if text.isascii() else rfc8785.dumps(value)


def decode(data: bytes | str) -> Any:
    """The value that strict JSON `data` stands for. Raises Refused(MALFORMED)."""
    try:
        value = json.loads(data, object_pairs_hook=_object, parse_float=_no_float, parse_constant=_no_float)
    except (ValueError, RecursionError) as error:
        raise Refused(Reason.MALFORMED, detail="This is not JSON.") from error
    _check(value, [])
    return value


def decode_exact(data: bytes) -> Any:
    """The value whose canonical bytes `data` are. Raises Refused(MALFORMED) for any others.

    The same as `decode` and `encode` and a comparison, at a third of the time for ASCII: what the encoder gives back
    byte for byte has no key twice, no space, no other order and no other spelling.
    """
    if data.isascii() and data.count(b"{") + data.count(b"[") <= _FEW_BRACKETS:
        text = data.decode()
        try:
            value = _DECODER.decode(text)
        except (ValueError, RecursionError) as error:
            raise Refused(Reason.MALFORMED, detail="This is not JSON.") from error
        if _ASCII.encode(value) == text:
            return value
    value = decode(data)
    if encode(value) != data:
        raise Refused(Reason.MALFORMED, detail="This is not in canonical form.")
    return value


def digest(value: Json | bytes) -> str:
    """`sha256:<hex>` of bytes as they are, or of any other value's canonical bytes."""
    data = value if isinstance(value, bytes) else encode(value)
    return digest_text(hashlib.sha256(data).digest())


def digest_text(raw: bytes) -> str:
    """`sha256:<hex>` of the 32 bytes of a digest."""
    return "sha256:" + raw.hex()


def digest_bytes(text: str) -> bytes:
    """The 32 bytes behind `sha256:<hex>`. Raises Refused(MALFORMED)."""
    if not isinstance(text, str) or not _DIGEST.fullmatch(text):
        raise Refused(Reason.MALFORMED, detail="A digest reads sha256: and 64 lower-case hexadecimal digits.")
    return bytes.fromhex(text[7:])


def b64(data: bytes) -> str:
    """base64url without padding (RFC 4648, section 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """The bytes behind `b64`. Refuses padding, foreign characters and non-canonical endings."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise Refused(Reason.MALFORMED, detail="This is not base64url without padding.") from error
    if b64(data) != text:
        raise Refused(Reason.MALFORMED, detail="This is not base64url in its one canonical form.")
    return data


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise Refused(Reason.MALFORMED, detail="The same key stands twice in one object.", field=key)
        result[key] = value
    return result


def _no_float(text: str) -> NoReturn:
    raise Refused(Reason.MALFORMED, detail='Numbers here are whole; write a decimal as a string, such as "0.5".')


def _whole(text: str) -> int:
    value = int(text)
    if abs(value) > _LARGEST:
        raise Refused(Reason.MALFORMED, detail="A whole number here is at most 2^53 - 1.")
    return value


_DECODER = json.JSONDecoder(parse_float=_no_float, parse_constant=_no_float, parse_int=_whole)


def _check(value: object, path: list[str | int]) -> None:
    """`path` is where `value` stands; it becomes text only in a refusal, so that checking takes linear time."""
    if len(path) > DEEPEST:
        raise _malformed(f"A document here is at most {DEEPEST} levels deep.", path)
    match value:
        case str():
            _check_text(value, path)
        case None | bool():
            return
        case int():
            if abs(value) > _LARGEST:
                raise _malformed("A whole number here is at most 2^53 - 1.", path)
        case Mapping():
            for key, item in value.items():
                if not isinstance(key, str):
                    raise _malformed("The keys of an object are strings.", path)
                _check_text(key, path)
                path.append(key)
                _check(item, path)
                path.pop()
        case list() | tuple():
            for index, item in enumerate(value):
                path.append(index)
                _check(item, path)
                path.pop()
        case _:
            raise _malformed(f"A {type(value).__name__} has no place in a signed document.", path)


def _check_text(text: str, path: list[str | int]) -> None:
    # JSON can write half of a surrogate pair, which has no UTF-8 form and so no canonical bytes.
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _malformed("A text here is valid Unicode.", path) from None


def _malformed(detail: str, path: list[str | int]) -> Refused:
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return Refused(Reason.MALFORMED, detail=detail, field=field.removeprefix("."))
