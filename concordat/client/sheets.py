"""The canaries that this institution has sealed as the owner of models: what an alarm about one is compared with.

canaries/<digest>.jws   a signed sheet (mode 0600), kept before it is handed in
"""

from pathlib import Path

from concordat import canaries, canonical
from concordat.canaries import Sheet
from concordat.canonical import digest_bytes
from concordat.documents import Keyring
from concordat.files import read_private, write_private
from concordat.reasons import Reason, Refused

_FOLDER = "canaries"


def keep(directory: Path, sheet: str) -> None:
    """Keep a signed sheet (JWS) in an institution's folder."""
    folder = directory / _FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    data = sheet.encode()
    write_private(folder / f"{digest_bytes(canonical.digest(data)).hex()}.jws", data, replace=True)


def kept(
    directory: Path, *, owner: str, requester: str, model: str, design: str, target: str, keyring: Keyring
) -> list[Sheet]:
    """Every sheet for a model's jobs that was sealed to a requester, whichever of them it used.

    Raises:
        Refused: CANARIES_MISSING if there is none; KEYSTORE_UNSAFE for a file that others may read; what is wrong with
            a signature.
    """
    found = []
    for file in sorted((directory / _FOLDER).glob("*.jws")):
        sheet = canaries.read_sheet(read_private(file).decode(), owner=owner, keyring=keyring)
        said = (sheet["requester"], sheet["model"], sheet["design"], sheet["target"])
        if said == (requester, model, design, target):
            found.append(sheet)
    if not found:
        detail = f"{directory / _FOLDER} holds none that were sealed to {requester} for this model."
        raise Refused(Reason.CANARIES_MISSING, detail=detail, field="canaries")
    return found
