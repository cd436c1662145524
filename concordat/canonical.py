"""One value, one byte string: canonical JSON after RFC 8785, restricted so that it cannot be read in two ways.

Signed and hashed documents carry no floats (decimals are strings) and no integers beyond 2^53 - 1, because JSON readers
disagree about both. Texts have no U+0000, which PostgreSQL cannot keep. Reading is strict: a duplicate key is an error,
not a silent choice of one of the two.
"""

import base64
import binascii
import codecs
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import rfc8785

from concordat.reasons import Reason, Refused

Json = None | bool | int | str | Sequence["Json"] | Mapping[str, "Json"]

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LARGEST = 2**53 - 1
DEEPEST = 64
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True, default=dict)
"""Ten times as fast as `rfc8785`, and the same for what `_check` lets pass, if all keys are ASCII."""
_FEW_BRACKETS = 64
"""A text with so many opening brackets at most is not nested too deeply, whatever it says."""
_NUL = "\\u0000"
"""How JSON writes U+0000, which it never writes otherwise; or, behind a backslash, this very text: `_check` knows."""


def encode(value: Json) -> bytes:
    """Canonical bytes of `value`.

    Raises Refused(MALFORMED) for floats, large integers, keys that are no strings, U+0000 in a text, and nesting beyond
    64 levels.
    """
    if _plain(value, DEEPEST):
        text = _ENCODER.encode(value)
        if _NUL not in text:
            return text.encode()
    _check(value, [])
    text = _ENCODER.encode(value)
    # RFC 8785 sorts keys by UTF-16 code units, which Python does only as long as they are ASCII.
    return text.encode() if text.isascii() else rfc8785.dumps(value)


def decode(data: bytes | str) -> Any:
    """The value that strict JSON `data` stands for, in UTF-8 (RFC 8259, section 8.1). Raises Refused(MALFORMED)."""
    value = _loads(data, parse_float=_no_float, parse_constant=_no_float)
    nul = _NUL in data if isinstance(data, str) else _NUL.encode() in data
    if nul or not _plain(value, DEEPEST):
        _check(value, [])
    return value


def decode_decimals(data: bytes, number: Callable[[str], object] = float) -> Any:
    """The same for what others write and nobody signs, as FHIR: it may begin with a byte order mark, and its numbers
    may be of any size, and have decimals, of which `number` makes what it gives back. Raises Refused(MALFORMED), for a
    key that stands twice too."""
    return _loads(data.removeprefix(codecs.BOM_UTF8), parse_constant=_no_constant, parse_float=number)


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
        if _ENCODER.encode(value) == text and _NUL not in text:
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
            raise Refused(Reason.MALFORMED, detail=f"The key “{key}” stands twice in one object.", field=key)
        result[key] = value
    return result


def _loads(data: bytes | str, **options: Any) -> Any:
    """A text in another encoding would be told from its first bytes, and read; whoever looked at its bytes before has
    seen another text then."""
    try:
        text = data.decode() if isinstance(data, bytes) else data
        return json.loads(text, object_pairs_hook=_object, **options)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise Refused(Reason.MALFORMED, detail=f"This is not JSON in UTF-8: line {line} is not UTF-8.") from error
    except json.JSONDecodeError as error:
        what, line, column = error.msg.removesuffix(" at"), error.lineno, error.colno
        detail = f"This is not JSON: {what} at line {line}, column {column}."
        raise Refused(Reason.MALFORMED, detail=detail) from error
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise Refused(Reason.MALFORMED, detail="This is not JSON that can be read here.") from error


def _no_constant(text: str) -> NoReturn:
    raise Refused(Reason.MALFORMED, detail=f"{text} is no number in JSON.")


def _no_float(text: str) -> NoReturn:
    raise Refused(Reason.MALFORMED, detail='Numbers here are whole; write a decimal as a string, such as "0.5".')


def _whole(text: str) -> int:
    value = int(text)
    if abs(value) > _LARGEST:
        raise Refused(Reason.MALFORMED, detail="A whole number here is at most 2^53 - 1.")
    return value


_DECODER = json.JSONDecoder(parse_float=_no_float, parse_constant=_no_float, parse_int=_whole)


def _plain(value: object, levels: int) -> bool:
    """Whether `_check` would surely let this pass, with so many levels below it, and all keys are ASCII: true of most
    documents, and five times as fast."""
    if type(value) is str:
        return value.isascii() or _is_unicode(value)
    if type(value) is dict:
        for key, item in value.items():
            if levels == 0 or type(key) is not str or not key.isascii() or not _plain(item, levels - 1):
                return False
        return True
    if type(value) is list:
        return not value or (levels > 0 and all(_plain(item, levels - 1) for item in value))
    if type(value) is int:
        return -_LARGEST <= value <= _LARGEST
    return value is None or type(value) is bool


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


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
    if "\0" in text:
        raise _malformed("A text here has no U+0000.", path)
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
