"""What data may be used for, in the codes of the GA4GH Data Use Ontology (DUO)."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, with_config
from typing_extensions import TypedDict

from concordat.fields import STRICT, Slug
from concordat.reasons import Reason, Refused

DuoCode = Literal[
    "DUO:0000042", "DUO:0000006", "DUO:0000007", "DUO:0000011", "DUO:0000012", "DUO:0000015", "DUO:0000018",
    "DUO:0000019", "DUO:0000020", "DUO:0000021", "DUO:0000022", "DUO:0000024", "DUO:0000025", "DUO:0000026",
    "DUO:0000027", "DUO:0000028", "DUO:0000029", "DUO:0000043", "DUO:0000046",
]  # fmt: skip


@with_config(STRICT)
class DatasetTerms(TypedDict):
    """What one institution's data allow."""

    institution: Slug
    terms: Annotated[list[DuoCode], Field(min_length=1)]


def check_codes(study: Sequence[str], datasets: Sequence[DatasetTerms], *, sites: Sequence[str]) -> None:
    """Terms are those of sites, once each. Raises Refused(FIELD_INVALID), naming the field."""
    owners = [dataset["institution"] for dataset in datasets]
    for place, owner in enumerate(owners):
        if owner not in sites or owners.count(owner) > 1:
            detail = "Terms are stated once for a site of the study."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field=f"data_use.datasets.{place}")
    if len(set(study)) != len(study):
        raise Refused(Reason.FIELD_INVALID, detail="One code is named twice.", field="data_use.study")
