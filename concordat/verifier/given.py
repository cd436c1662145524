"""What a reader brings to a dossier, looked at before anything is verified, and the exit status of the two commands.

A mistake of the reader's is none of the dossier's: it is said, and nothing is verified. Both commands, `python -m
ledger.verify` and `concordat verify`, take what they are given through here.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import httpx
from eth_utils.address import is_checksum_address, to_checksum_address

from concordat import model_file
from concordat.fields import WebAddress, read
from concordat.reasons import Reason, Refused
from concordat.timestamps import read_roots
from concordat.verifier.examine import Options, Result, Status

FAILED, TRY_AGAIN = 1, 75
"""Exit codes besides 0 and 2 for wrong usage; 75 is the EX_TEMPFAIL of sysexits.h."""

_VERDICTS = {
    (): "no check failed",
    ("disclosure",): "THE DISCLOSURE DOES NOT FIT",
    ("replay",): "THE REPLAY DOES NOT AGREE",
    ("log",): "THE COPY OF THE LOG DOES NOT FIT",
    ("anchor log",): "THE ANCHOR LOG IS NOT THE ONE THAT YOU KNOW",
}
"""By the checks that failed; any others speak against the dossier itself."""

_CONTRACT = re.compile(r"0x[0-9A-Fa-f]{40}", re.ASCII)
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


def options(
    *,
    keys: Mapping[str, str],
    rpc: str | None = None,
    disclosure: Path | None = None,
    witnessed: bool = False,
    replay: Path | None = None,
    tsa: Path | None = None,
    log: Path | None = None,
    anchor_log: str | None = None,
) -> Options:
    """The options of these values, the files read.

    Raises:
        Refused: naming the option: FIELD_INVALID for an address that is none, a root certificate, or an anchor log
            without a chain to ask; FILE_UNREADABLE for a file with no model.
        OSError: for a file that cannot be read.
    """
    roots, model = tsa.read_bytes() if tsa else None, replay.read_bytes() if replay else None
    given = disclosure.read_bytes() if disclosure else None
    if roots is not None:
        read_roots(roots)
    if model is not None:
        try:
            model_file.check_readable(model)
        except Refused as refused:
            raise Refused(refused.reason, detail=f"{replay}: {refused.detail}", field="replay") from None
    if rpc is not None:
        _check_address(rpc)
    if anchor_log is not None:
        anchor_log = _contract(anchor_log, rpc)
    return Options(keys, rpc, given, witnessed, model, roots, log, anchor_log)


def _contract(address: str, rpc: str | None) -> str:
    """With its checksum. One in a single case has none to be compared."""
    digits = address.removeprefix("0x")
    if not _CONTRACT.fullmatch(address) or not (
        digits in (digits.lower(), digits.upper()) or is_checksum_address(address)
    ):
        detail = (
            "A contract's address is 0x and 40 hexadecimal digits, with the upper and lower case that it was told in."
        )
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="anchor_log")
    if rpc is None:
        detail = "Only the chain knows which logs continue each other: name an endpoint that you trust by --rpc."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="anchor_log")
    return str(to_checksum_address(address))


def _check_address(rpc: str) -> None:
    try:
        if httpx.URL(read(rpc, WebAddress)).port not in (None, *range(1, 65536)):
            raise httpx.InvalidURL("port")
    except (Refused, httpx.InvalidURL):
        detail = "A chain's address begins with http:// or https:// and names a host, and perhaps a port."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="rpc") from None


def key_pair(text: str) -> tuple[str, str]:
    """`NAME=KEY`. Raises Refused(FIELD_INVALID) unless it has this form and KEY is a key's id."""
    name, separator, kid = text.partition("=")
    if not (separator and name):
        raise Refused(Reason.FIELD_INVALID, detail="Write NAME=KEY.", field="key")
    if not _KEY_ID.fullmatch(kid):
        detail = f"What is given for “{name}” is no key id: that has 43 letters, digits, - and _."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="key")
    return name, kid


def verdict(result: Result) -> str:
    """What all checks come to, in a few words."""
    failed = tuple(check.name for check in result.checks if check.status is Status.FAILED)
    return _VERDICTS.get(failed, "THIS DOSSIER DOES NOT HOLD")


def exit_status(result: Result, given: Options) -> int:
    """0 if no check failed, 1 if one did, 75 if the chain that was named gave no answer."""
    if not result.holds:
        return FAILED
    silent = any(check.reason is Reason.CHAIN_UNAVAILABLE for check in result.checks)
    return TRY_AGAIN if given.rpc and silent else 0
