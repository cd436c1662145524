"""Which kind of file some bytes are, by the bytes themselves: a name and a sender's word prove nothing."""

from collections.abc import Mapping

from concordat.reasons import Reason, Refused

PDF, PNG, JPEG, TEXT = "application/pdf", "image/png", "image/jpeg", "text/plain"

TYPES: tuple[str, ...] = (PDF, PNG, JPEG, TEXT)
"""What may be attached."""

_SIGNATURES: Mapping[str, bytes] = {PDF: b"%PDF-", PNG: b"\x89PNG\r\n\x1a\n", JPEG: b"\xff\xd8\xff"}
"""ISO 32000-1, 7.5.2; ISO/IEC 15948, 5.2; ISO/IEC 10918-1, B.1.1.3."""

_IN_TEXT = frozenset("\t\n\r\f")


def media_type(content: bytes) -> str:
    """One of :data:`TYPES`. Plain text is UTF-8 without control characters.

    Raises Refused(FIELD_INVALID) for anything else.
    """
    for name, signature in _SIGNATURES.items():
        if content.startswith(signature):
            return name
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = "\0"
    if any((character < " " and character not in _IN_TEXT) or character == "\x7f" for character in text):
        raise Refused(Reason.FIELD_INVALID, detail="A file here is PDF, PNG, JPEG or plain text.", field="content")
    return TEXT
