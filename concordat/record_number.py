"""A decision's number, as people read it out and type it in: `C-0000042-3`.

The digits are the entry's index in the log. The last character is the ISO 7064 MOD 11-2 check character (0-9 or X, as
in an ORCID iD), which catches every single wrong digit and every swap of two neighbours.
"""

import re

from concordat.reasons import Reason, Refused

_FORM = re.compile(r"C-([0-9]{7,19})-([0-9X])")


def format(index: int) -> str:
    """`C-0000042-3` for log index 42: at least seven digits. Raises ValueError for a negative index."""
    if index < 0:
        raise ValueError("a log index is not negative")
    digits = f"{index:07d}"
    return f"C-{digits}-{_check_character(digits)}"


def parse(text: str) -> int:
    """The log index; small letters and surrounding space are forgiven. Raises Refused(RECORD_NUMBER_INVALID)."""
    match = _FORM.fullmatch(text.strip().upper())
    if match is None:
        raise Refused(Reason.RECORD_NUMBER_INVALID, detail="A record number reads like C-0000042-3.")
    digits, check = match.groups()
    index = int(digits)
    if check != _check_character(digits) or f"{index:07d}" != digits:
        raise Refused(Reason.RECORD_NUMBER_INVALID)
    return index


def _check_character(digits: str) -> str:
    product = 0
    for digit in digits:
        product = (product + int(digit)) * 2 % 11
    return "0123456789X"[(12 - product) % 11]
