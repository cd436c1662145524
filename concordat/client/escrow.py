"""The ceremonies around the records key and the escrow: make them, open a package, try in a drill that it would open.

All of it belongs on a machine without a network; nothing here needs the coordinator.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal
from uuid import uuid4

from annotated_types import Ge
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import canonical, clock, escrow
from concordat.client.home import ClientHome
from concordat.documents import sign
from concordat.escrow import OfficerShare
from concordat.fields import STRICT, Slug, Text, Time, plain, read
from concordat.files import write_private
from concordat.keystore import Keystore
from concordat.package import (
    Asked,
    Lock,
    Package,
    RecordsKeys,
    open_package,
    read_package,
    seal,
    sign_keys,
    terms_of,
)
from concordat.reasons import Reason, Refused
from concordat.request import peek_request
from concordat.sealing import SealingKey, sealing_key_id
from concordat.signatures import SigningKey, peek
from concordat.verifier import disclosure


@with_config(STRICT)
class Drill(TypedDict):
    """The signed "escrow-drill" document: a canary package opened with these officers' shares, and with no k - 1 of
    them; `records` is the id of the records key, if that was tried as well, else empty."""

    v: Literal[1]
    institution: Slug
    escrow: Text
    records: str
    threshold: Annotated[int, Ge(2)]
    officers: list[Slug]
    time: Time


def found(
    home: ClientHome,
    *,
    keys: Keystore,
    shares: Path,
    passphrases: Mapping[str, str],
    threshold: int,
    offline: SigningKey,
    rotate: bool = False,
) -> tuple[RecordsKeys, list[Path]]:
    """Make a new escrow, and the records key if there is none, and say so by the offline key.

    From now on decisions are sealed to these. What was sealed before opens with the keys that were in force then.

    Args:
        keys: the key folder of the records key alone, which is its "sealing" key; a replaced one is kept in `retired/`.
        shares: an existing folder for the officers' files, one each.
        passphrases: by officer, in the order of their shares.
        rotate: make a new records key, too.

    Raises:
        Refused: what `escrow.create`, `escrow.lock` and the key folder refuse; nothing has changed then.
    """
    terms, dealt = escrow.create(list(passphrases), threshold)
    locked = {share["officer"]: escrow.lock(share, passphrases[share["officer"]]) for share in dealt}
    keys.create(["sealing"])
    if rotate:
        keys.successors.create(["sealing"])
        keys.promote("sealing")
    token = sign_keys(
        institution=home.institution, records=keys.sealing.public, terms=terms, issued=clock.now(), offline=offline
    )
    escrow_id = sealing_key_id(terms["key"])
    files = [shares / f"{escrow_id[:12]}.{officer}.share" for officer in locked]
    for file, content in zip(files, locked.values(), strict=True):
        write_private(file, content, replace=False)
    write_private(home.records_file, token.encode(), replace=True)
    return read(peek(token)[1], RecordsKeys), files


def open_by_officers(package: Package, shares: Iterable[OfficerShare]) -> bytes:
    """What the package holds, by enough officers of the escrow that it was sealed to, in force or retired.

    Raises Refused as `escrow.recombine` and `opened` do.
    """
    return opened(package, escrow.recombine(terms_of(package)["escrow"], shares), "escrow")


def open_by_records_key(package: Package, keys: Keystore) -> bytes:
    """What the package holds, by the records key that it was sealed to, in force or retired.

    Raises Refused: KEY_UNKNOWN, KEYSTORE_UNSAFE, and as `opened` does.
    """
    return opened(package, keys.sealing_key(sealing_key_id(terms_of(package)["records"])), "records")


def opened(package: Package, key: SealingKey, lock: Lock) -> bytes:
    """The content: of the result a disclosure, as `concordat verify` takes it; of the request an `Asked`.

    Raises:
        Refused: SEAL_BROKEN; what is wrong with a content that is neither; CONFLICT for that of another request.
    """
    content = open_package(package, key, lock)
    if package["stage"] == "result":
        request = disclosure.parse(content)["request"]
    else:
        request = read(canonical.decode(content), Asked)["request"]
    if peek_request(request)["request"] != package["request"]:
        raise Refused(Reason.CONFLICT, detail="The package holds another request than it says.", field="request")
    return content


def drill(home: ClientHome, shares: Sequence[OfficerShare], keys: Keystore | None = None) -> tuple[str, Path]:
    """Try that the escrow in force opens a canary package: with every share that was brought, and with no k - 1.

    Args:
        keys: the records key's folder, to try that one as well.

    Returns:
        The finding, signed by our identity key (JWS), and the file that keeps it.

    Raises:
        Refused: HOME_INCOMPLETE without a records key; what `escrow.recombine` refuses; SEAL_BROKEN if a key does not
            open the canary; CONFLICT if fewer shares do.
    """
    token = home.records_keys
    if not token:
        raise Refused(Reason.HOME_INCOMPLETE, detail="There is no escrow: make one first.", field="records.jws")
    terms = read(peek(token)[1], RecordsKeys)["escrow"]
    now, content = clock.now(), {"canary": str(uuid4())}
    sealed = seal(
        content, request=str(uuid4()), stage="request", keys=token, now=now, key=home.keys.identity
    ).package.encode()
    package, whole = read_package(sealed), canonical.encode(content)
    needed = terms["threshold"]
    for first in range(max(1, len(shares) - needed + 1)):  # every share takes part in one of these
        _check_opens(package, escrow.recombine(terms, shares[first : first + needed]), "escrow", whole)
    places = {holder["officer"]: place for place, holder in enumerate(terms["officers"])}
    held = {places[share["officer"]]: canonical.unb64(share["share"]) for share in shares}
    for few in combinations(sorted(held), needed - 1):
        _check_stays_shut(package, escrow.interpolate({place: held[place] for place in few}))
    records = terms_of(package)["records"]
    if keys is not None:
        _check_opens(package, keys.sealing_key(sealing_key_id(records)), "records", whole)
    said = {
        "v": 1,
        "institution": home.institution,
        "escrow": sealing_key_id(terms["key"]),
        "records": sealing_key_id(records) if keys is not None else "",
        "threshold": needed,
        "officers": [share["officer"] for share in shares],
        "time": clock.rfc3339(now),
    }
    finding = sign(plain(said), Drill, kind="escrow-drill", key=home.keys.identity)
    home.drills.mkdir(mode=0o700, exist_ok=True)
    file = home.drills / f"{package['request']}.jws"
    write_private(file, finding.encode(), replace=False)
    return finding, file


def _check_opens(package: Package, key: SealingKey, lock: Lock, content: bytes) -> None:
    if open_package(package, key, lock) != content:
        raise Refused(Reason.SEAL_BROKEN, detail="The canary package opened, and holds something else.")


def _check_stays_shut(package: Package, key: SealingKey) -> None:
    try:
        open_package(package, key, "escrow")
    except Refused as refused:
        if refused.reason is not Reason.SEAL_BROKEN:
            raise
    else:
        raise Refused(Reason.CONFLICT, detail="Fewer shares than the threshold opened the canary package.")
