"""A new institution: its folder, its five keys, and the signed enrolment that it hands to the others."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, with_config
from typing_extensions import TypedDict

from concordat import canonical, clock
from concordat.canonical import Json
from concordat.enrolment import Role, build_enrolment
from concordat.fields import STRICT, Jurisdiction, Slug, Text, read
from concordat.files import write_private
from concordat.keystore import Keystore
from concordat.reasons import Reason, Refused

ENROLMENT = "enrolment.jws"


@with_config(STRICT)
class Applicant(TypedDict):
    """What an institution says of itself."""

    institution: Slug
    name: Text
    jurisdiction: Jurisdiction
    roles: Annotated[list[Role], Field(min_length=1)]


def found(
    directory: Path,
    settings: tuple[str, Mapping[str, Json]],
    *,
    institution: str,
    name: str,
    jurisdiction: str,
    roles: Sequence[Role],
    passphrase: str | None = None,
) -> str:
    """Make the folder, generate whichever keys are missing, sign the enrolment, and return it.

    Args:
        settings: name and checked content of the file that makes this folder an institution's; it is written last.
        passphrase: encrypts the keys.

    Raises:
        Refused: HOME_TAKEN if that file is there, HOME_UNUSABLE, the refusal of a malformed field. A field that is
            refused leaves nothing behind.
    """
    file, content = settings
    said = {"institution": institution, "name": name, "jurisdiction": jurisdiction, "roles": list(roles)}
    applicant = read(said, Applicant)
    if (directory / file).exists():
        raise Refused(Reason.HOME_TAKEN, detail=f"There is a {file} in this folder already.", field="home")
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        token = build_enrolment(Keystore(directory / "keys", passphrase).create(), **applicant, issued=clock.now())
        write_private(directory / ENROLMENT, token.encode(), replace=True)
        write_private(directory / file, canonical.encode(content), replace=True)
    except OSError as error:
        raise Refused(Reason.HOME_UNUSABLE, detail=f"{directory}: {error.strerror}.", field="home") from error
    return token
