"""Who takes part in the demonstration. The hospitals are those of the data set; the notary is invented."""

from dataclasses import dataclass
from pathlib import Path

from concordat.enrolment import Role

STUDY_FOLDER = Path(__file__).resolve().parent.parent.parent / "examples" / "heart_disease"


@dataclass(frozen=True)
class Member:
    """An institution: `dataset` is its name in the data set, `officers` maps a role to a person who signs."""

    slug: str
    name: str
    jurisdiction: str
    roles: tuple[Role, ...]
    dataset: str = ""


CLEVELAND = Member("cleveland", "Cleveland Clinic Foundation", "US", ("party", "owner"), "Cleveland")
BUDAPEST = Member("budapest", "Hungarian Institute of Cardiology, Budapest", "HU", ("party",), "Hungary")
ZURICH = Member("zurich", "University Hospital, Zurich", "CH", ("party",), "Switzerland")
LONG_BEACH = Member("long-beach", "VA Medical Center, Long Beach", "US", ("requester",), "VA Long Beach")
NOTARY = Member("notary", "Notary of the consortium (invented)", "CH", ("dealer",))

MEMBERS = (CLEVELAND, BUDAPEST, ZURICH, LONG_BEACH, NOTARY)
PARTIES = (CLEVELAND, BUDAPEST, ZURICH)
NODES = (*PARTIES, NOTARY)
HOSPITALS = (*PARTIES, LONG_BEACH)
BOARDS = (CLEVELAND, BUDAPEST, ZURICH)
QUORUM = 3
