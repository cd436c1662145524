"""What a file holds is noted before anything in it is checked."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from concordat.client.heard import FILE, Heard
from concordat.fhir.reader import READ

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
RESOURCE = st.fixed_dictionaries({"resourceType": JSON | st.sampled_from(READ)}) | JSON
BUNDLE = st.fixed_dictionaries({"entry": st.lists(st.fixed_dictionaries({"resource": RESOURCE}) | JSON) | JSON})


def test_of_a_bundle_the_types_that_are_read_are_noted_and_no_other() -> None:
    heard = Heard()
    kinds = ["Patient", "Observation", "Anna Muster", "Encounter", "Observation"]
    heard.bundle({"entry": [{"resource": {"resourceType": kind}} for kind in kinds]})
    assert (heard.kinds, heard.source) == ({"Patient", "Observation"}, FILE)


@given(BUNDLE)
def test_of_anything_else_nothing(bundle: dict[str, Any]) -> None:
    heard = Heard()
    heard.bundle(bundle)
    assert heard.kinds <= set(READ)
