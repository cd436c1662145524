"""Institutions enrol by proving that they hold their keys; rosters are signed by the offline key."""

import pytest

from concordat import clock
from concordat.enrolment import build_enrolment
from concordat.events import Event
from concordat.keystore import Keystore
from concordat.reasons import Reason, Refused
from governance import selectors
from governance.models import InstitutionKey
from governance.services import institutions
from ledger.selectors import entries
from tests.governance.conftest import Consortium


def test_enrolment_keeps_every_public_key_and_says_on_whose_board_the_institution_relies(
    consortium: Consortium,
) -> None:
    long_beach = consortium.at["long-beach"]
    assert {key.kind for key in long_beach.keys.all()} == set(InstitutionKey.Kind)
    assert long_beach.board == consortium.at["cleveland"]
    entry = entries(event=Event.INSTITUTION_ENROLLED, institution="long-beach").get()
    assert entry.public["reviewing_board"] == "cleveland"


def test_the_same_enrolment_again_is_no_harm(consortium: Consortium) -> None:
    known = consortium.at["zurich"]
    assert institutions.enrol(token=known.enrolment) == known
    assert entries(event=Event.INSTITUTION_ENROLLED, institution="zurich").count() == 1


def test_a_name_or_a_key_that_is_taken_is_refused(consortium: Consortium, tmp_path) -> None:
    for slug, keys in (("zurich", Keystore(tmp_path / "other").create()), ("basel", consortium.keys["zurich"])):
        token = build_enrolment(
            keys,
            institution=slug,
            name="Another",
            jurisdiction="CH",
            roles=["party"],
            issued=clock.now(),
        )
        with pytest.raises(Refused) as caught:
            institutions.enrol(token=token)
        assert caught.value.reason is Reason.CONFLICT


def test_an_altered_enrolment_is_refused(consortium: Consortium) -> None:
    header, payload, signature = consortium.enrolment("notary").split(".")
    with pytest.raises(Refused) as caught:
        institutions.enrol(token=f"{header}.{payload}.{signature[:-4]}AAAA")
    assert caught.value.reason in {Reason.SIGNATURE_INVALID, Reason.MALFORMED}


def test_the_highest_roster_is_in_force(consortium: Consortium) -> None:
    other = consortium.officer("zurich", "irb-member")
    consortium.roster("zurich", [(other, "irb-member")])
    in_force = selectors.roster(consortium.at["zurich"])
    assert in_force is not None
    assert in_force.version == 2
    assert [line["credential"] for line in in_force.officers] == [other.passkey.credential]


def test_an_older_roster_does_not_come_back(consortium: Consortium) -> None:
    chair = consortium.chairs["zurich"]
    consortium.roster("zurich", [])
    with pytest.raises(Refused) as caught:
        institutions.publish_roster(token=consortium.roster_token("zurich", [(chair, "irb-chair")], version=1))
    assert caught.value.reason is Reason.CONFLICT


def test_the_identity_key_does_not_sign_rosters(consortium: Consortium) -> None:
    token = consortium.roster_token("zurich", [], key=consortium.keys["zurich"].identity)
    with pytest.raises(Refused) as caught:
        institutions.publish_roster(token=token)
    assert caught.value.reason is Reason.KEY_UNKNOWN


def test_one_institution_does_not_publish_another_s_roster(consortium: Consortium) -> None:
    token = consortium.roster_token("zurich", [], key=consortium.keys["budapest"].offline)
    with pytest.raises(Refused) as caught:
        institutions.publish_roster(token=token)
    assert caught.value.reason is Reason.KEY_UNKNOWN
