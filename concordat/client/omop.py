"""Our own patients' records in OMOP tables: which database, and whose record. Neither stands in a command line.

`omop.json` in the home folder names sources: `{"sources": {"warehouse": {"url": …}}}`, each a
`concordat.omop.database.Source`. In place of a name a URL may be given, which can hold no password.
"""

from datetime import datetime
from typing import TextIO

from pydantic import with_config
from typing_extensions import TypedDict

from concordat import canonical
from concordat.client.heard import Heard
from concordat.client.home import ClientHome
from concordat.fields import STRICT, Slug, read
from concordat.files import about
from concordat.omop import Database, Index, Person, Reader, Source
from concordat.reading import Reading
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema

FILE = "omop.json"
_LONGEST = 2000


@with_config(STRICT)
class Config(TypedDict):
    """The content of `omop.json`: sources, by their names."""

    sources: dict[Slug, Source]


def source_of(home: ClientHome, name: str) -> Source:
    """The source that a name or a URL means.

    Raises:
        Refused: HOME_INCOMPLETE without an `omop.json`; NOT_FOUND for a name that it lacks; MALFORMED, FIELD_INVALID.
    """
    if "://" in name:
        return {"url": name}
    try:
        with about(FILE):
            config = read(canonical.decode((home.directory / FILE).read_bytes()), Config)
    except FileNotFoundError:
        detail = f"{home.directory} has no {FILE}."
        raise Refused(Reason.HOME_INCOMPLETE, detail=detail, field="home") from None
    if name not in config["sources"]:
        raise Refused(Reason.NOT_FOUND, detail=f"{FILE} has no source of this name.", field="omop")
    return config["sources"][name]


def read_person(
    home: ClientHome, name: str, person: TextIO, schema: FeatureSchema, heard: Heard, *, now: datetime
) -> Reading:
    """What the tables say `now` of the person whom the first line names. Which tables had something, and which source
    that is, is noted in `heard`, also if the rest is refused.

    Raises:
        Refused: what `source_of`, `Database` and `Reader.person` refuse.
    """
    source, whose = source_of(home, name), Person.parse(person.read(_LONGEST))
    with Database(source, home.directory) as database:
        heard.source = f"urn:concordat:omop:{name}" if "://" not in name else database.name
        heard.kinds = database.answered
        return Reader(database, schema).person(whose, Index.at(now))
