"""A study keeps to the terms of the data, does not, or a person has to decide."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat.data_use import LABELS, Answer, DuoCode, check_codes, match
from concordat.reasons import Reason, Refused

NRES, HMB, DS, POA, GRU = (f"DUO:00000{code}" for code in ("04", "06", "07", "11", "42"))
RS, NMDS, GSO, NPUNCU, PUB, COL, IRB, GS = (f"DUO:00000{code}" for code in (12, 15, 16, 18, 19, 20, 21, 22))
MOR, TS, US, PS, IS, RTN, CC, NPOA, NPU, NCU = (f"DUO:00000{code}" for code in (24, 25, 26, 27, 28, 29, 43, 44, 45, 46))
METHODS, POPULATION, ANCESTRY = (f"DUO:00000{code}" for code in (31, 32, 33))

allowed, denied, human = Answer.ALLOWED, Answer.DENIED, Answer.NEEDS_HUMAN
codes = st.sets(st.sampled_from(get_args(DuoCode)), min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("study", "data", "answer"),
    [
        # what a permission covers
        ([HMB], [NRES], allowed),
        ([HMB], [GRU], allowed),
        ([HMB], [HMB], allowed),
        ([DS], [HMB], allowed),
        ([POA], [GRU], allowed),
        ([GRU], [HMB], denied),
        ([POA], [HMB], denied),
        ([HMB, ANCESTRY], [HMB], denied),
        ([HMB], [POA], denied),
        ([POA], [POA], allowed),
        ([HMB], [DS], denied),
        ([DS], [DS], human),
        ([HMB, DS], [DS], human),
        ([METHODS], [GRU], human),
        ([HMB], [IRB], human),
        ([HMB], [DS, GRU], allowed),
        # clinical care is no research
        ([CC], [GRU], denied),
        ([CC], [GRU, CC], allowed),
        ([CC], [NRES], allowed),
        ([HMB], [HMB, CC], allowed),
        # modifiers that forbid what a study does
        ([HMB, METHODS], [HMB, NMDS], denied),
        ([HMB], [HMB, NMDS], allowed),
        ([GRU, POPULATION], [GRU, NPOA], denied),
        ([GRU], [GRU, NPOA], allowed),
        # modifiers that a study can promise to keep
        ([HMB], [HMB, NCU], human),
        ([HMB, NCU], [HMB, NCU], allowed),
        ([HMB, NPUNCU], [HMB, NCU], allowed),
        ([HMB, NPUNCU], [HMB, NPU], allowed),
        ([HMB, NCU], [HMB, NPUNCU], human),
        ([HMB, PUB], [HMB, PUB], allowed),
        ([HMB], [HMB, COL], human),
        ([HMB], [HMB, RTN], human),
        ([HMB], [HMB, GSO], human),
        # the boards' approval is there, or nothing is computed
        ([HMB], [HMB, IRB], allowed),
        # modifiers with a value that no code carries
        *(([HMB, code], [HMB, code], human) for code in (RS, GS, MOR, TS, US, PS, IS)),
        # one denial outweighs any doubt
        ([HMB, METHODS], [HMB, NMDS, US], denied),
    ],
)
def test_a_study_is_matched_with_the_terms(study: list[str], data: list[str], answer: Answer) -> None:
    found = match(study, data)
    assert found.answer is answer
    assert bool(found.reasons) is (answer is not allowed)


@given(codes, codes)
def test_whatever_is_not_allowed_says_why(study: set[str], data: set[str]) -> None:
    found = match(study, data)
    assert bool(found.reasons) is (found.answer is not allowed)
    assert found.reasons.keys() <= {*data, CC, ""}


@given(codes, codes, st.sampled_from([US, TS, IS, RS]))
def test_one_more_restriction_never_allows_more(study: set[str], data: set[str], restriction: str) -> None:
    order = list(Answer).index
    assert order(match(study, data | {restriction}).answer) >= order(match(study, data).answer)


def test_every_code_has_its_name() -> None:
    assert LABELS.keys() == set(get_args(DuoCode))


def test_terms_are_a_site_s_and_stated_once() -> None:
    terms = {"institution": "zurich", "terms": [HMB]}
    check_codes([HMB], [terms], sites=["zurich"])
    for study, datasets, field in (
        ([HMB, HMB], [terms], "data_use.study"),
        ([HMB], [terms, terms], "data_use.datasets.0"),
        ([HMB], [{"institution": "basel", "terms": [HMB]}], "data_use.datasets.0"),
    ):
        with pytest.raises(Refused) as caught:
            check_codes(study, datasets, sites=["zurich"])
        assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, field)
