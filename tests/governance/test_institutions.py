"""Institutions enrol by proving that they hold their keys; rosters and key changes are signed by the offline key."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from concordat import clock
from concordat.enrolment import build_enrolment, public_key_id
from concordat.events import Event
from concordat.key_change import PROVEN, build_change
from concordat.keystore import KINDS, Keystore, Kind
from concordat.reasons import Reason, Refused
from concordat.signatures import peek, sign
from governance import selectors
from governance.models import InstitutionKey, NodeStatus
from governance.services import institutions, model_cards, nodes
from ledger.selectors import document, entries
from tests.governance.conftest import Consortium


def test_enrolment_keeps_every_public_key_and_says_whose_law_applies(consortium: Consortium) -> None:
    long_beach = consortium.at["long-beach"]
    assert {key.kind for key in long_beach.keys.all()} == set(InstitutionKey.Kind)
    entry = entries(event=Event.INSTITUTION_ENROLLED, institution="long-beach").get()
    assert entry.public == {"institution": "long-beach", "jurisdiction": "US"}


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


# --- key changes


@pytest.fixture
def successors(tmp_path_factory: pytest.TempPathFactory) -> Keystore:
    return Keystore(tmp_path_factory.mktemp("successors") / "keys").create()


def key_change(consortium: Consortium, slug: str, kind: Kind, successors: Keystore | None, **changes: Any) -> str:
    options = {"ground": "rotation", "issued": clock.now(), "offline": consortium.keys[slug].offline} | changes
    key = successors.public()[kind] if successors else None
    proves = getattr(successors, kind) if successors and kind in PROVEN else None
    history = options.pop("history", None) or selectors.key_history(consortium.at[slug])
    return build_change(history, kind=kind, key=key, successor=proves, **options)


def live(consortium: Consortium, slug: str, kind: Kind) -> list[str]:
    return list(consortium.at[slug].keys.filter(kind=kind, revoked=None).values_list("key_id", flat=True))


def refused(token: str) -> tuple[Reason, str]:
    with pytest.raises(Refused) as caught:
        institutions.change_key(token=token)
    return caught.value.reason, caught.value.field


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_change_replaces_the_live_key_and_stands_in_the_log(
    consortium: Consortium, successors: Keystore, kind: Kind
) -> None:
    (old,) = live(consortium, "zurich", kind)
    token = key_change(consortium, "zurich", kind, successors, ground="loss")
    change = institutions.change_key(token=token)
    assert live(consortium, "zurich", kind) == [public_key_id(kind, successors.public()[kind])]
    gone = consortium.at["zurich"].keys.get(key_id=old)
    assert (gone.ground, gone.revoked) == ("loss", entries(event=Event.KEY_CHANGED).get().time)
    entry = entries(event=Event.KEY_CHANGED, institution="zurich").get()
    assert entry.index == change.entry
    assert entry.public == {"institution": "zurich", "kind": kind, "ground": "loss", "sequence": 1}
    assert document(entry.documents["change"]).decode() == token


def test_the_same_key_change_again_is_no_harm(consortium: Consortium, successors: Keystore) -> None:
    token = key_change(consortium, "zurich", "client", successors)
    assert institutions.change_key(token=token) == institutions.change_key(token=token)
    assert entries(event=Event.KEY_CHANGED).count() == 1


def test_a_key_change_is_the_institution_s_own(consortium: Consortium, successors: Keystore) -> None:
    budapest = consortium.keys["budapest"].offline
    payload = peek(key_change(consortium, "zurich", "client", successors))[1]
    assert refused(sign(payload, kind="key-change", key=budapest))[0] is Reason.KEY_UNKNOWN
    moved = payload | {"institution": "budapest"}
    assert refused(sign(moved, kind="key-change", key=consortium.keys["zurich"].offline))[0] is Reason.KEY_UNKNOWN
    assert refused(sign(payload | {"institution": "nowhere"}, kind="key-change", key=budapest))[0] is Reason.NOT_FOUND
    assert refused(sign(payload, kind="key-change", key=consortium.keys["zurich"].identity))[0] is Reason.KEY_UNKNOWN


def test_gaps_forks_and_changes_from_the_future_are_refused(consortium: Consortium, successors: Keystore) -> None:
    begun = selectors.key_history(consortium.at["zurich"])
    first = key_change(consortium, "zurich", "client", successors)
    fork = key_change(consortium, "zurich", "chain", successors)
    second = key_change(consortium, "zurich", "sealing", successors, history=begun.after(first))
    assert refused(second) == (Reason.KEY_CHANGE_OUT_OF_ORDER, "sequence")
    institutions.change_key(token=first)
    assert refused(fork) == (Reason.KEY_CHANGE_OUT_OF_ORDER, "sequence")
    institutions.change_key(token=second)
    late = key_change(consortium, "zurich", "chain", successors, issued=clock.now() + timedelta(hours=1))
    assert refused(late) == (Reason.FIELD_INVALID, "issued")
    assert entries(event=Event.KEY_CHANGED).count() == 2


def test_another_institution_s_key_cannot_be_taken_over(consortium: Consortium) -> None:
    token = key_change(consortium, "zurich", "chain", consortium.keys["budapest"])
    assert refused(token) == (Reason.CONFLICT, "key")


def test_nor_can_one_that_signs_in_be_taken_over_in_a_set(consortium: Consortium, successors: Keystore) -> None:
    def change(slug: str, *jwks: Any) -> str:
        return build_change(
            selectors.key_history(consortium.at[slug]),
            kind="client",
            key={"keys": list(jwks)},
            ground="rotation",
            issued=clock.now(),
            offline=consortium.keys[slug].offline,
        )

    theirs, other = (keys.public()["client"] for keys in (consortium.keys["budapest"], successors))
    assert refused(change("zurich", theirs | {"kid": "renamed"}, other)) == (Reason.CONFLICT, "key")
    institutions.change_key(token=change("budapest", theirs, other))
    assert refused(change("zurich", other | {"kid": "one of theirs"})) == (Reason.CONFLICT, "key")
    assert refused(key_change(consortium, "zurich", "client", successors)) == (Reason.CONFLICT, "key")


def test_after_a_change_the_new_offline_key_signs_rosters_and_the_old_does_not(
    consortium: Consortium, successors: Keystore
) -> None:
    institutions.change_key(token=key_change(consortium, "zurich", "offline", successors))
    with pytest.raises(Refused) as caught:
        consortium.roster("zurich", [])
    assert caught.value.reason is Reason.KEY_UNKNOWN
    assert selectors.roster(consortium.at["zurich"]).version == 1  # signed before, by a key that was only replaced
    institutions.publish_roster(token=consortium.roster_token("zurich", [], key=successors.offline))
    assert selectors.roster(consortium.at["zurich"]).version == 2


def test_a_roster_of_a_compromised_offline_key_is_no_longer_in_force(
    consortium: Consortium, successors: Keystore
) -> None:
    before = clock.now() - timedelta(hours=1)
    token = key_change(consortium, "zurich", "offline", successors, ground="compromise", effective=before)
    institutions.change_key(token=token)
    assert selectors.roster(consortium.at["zurich"]) is None
    again = consortium.roster_token("zurich", [], key=successors.offline, version=2)
    institutions.publish_roster(token=again)
    assert selectors.roster(consortium.at["zurich"]).version == 2


def test_votes_of_a_replaced_chain_key_stop_counting(consortium: Consortium, successors: Keystore) -> None:
    known = consortium.voted()
    assert "zurich" in selectors.last_votes(known)
    institutions.change_key(token=key_change(consortium, "zurich", "chain", successors))
    assert "zurich" not in selectors.last_votes(selectors.definition(known.digest))


def test_a_manifest_outlives_a_rotation_of_its_owner_s_key_and_not_a_compromise(
    consortium: Consortium, successors: Keystore, tmp_path: Path
) -> None:
    model = consortium.import_model()
    institutions.change_key(token=key_change(consortium, "cleveland", "identity", successors))
    assert selectors.manifest(model)["owner"] == "cleveland"
    other = Keystore(tmp_path / "third").create(["identity"])
    stolen = key_change(consortium, "cleveland", "identity", other, ground="compromise")
    institutions.change_key(token=stolen)
    assert selectors.manifest(model)["owner"] == "cleveland"  # it was the second key that was stolen
    assert set(selectors.keyring(["cleveland"])["cleveland"]) == {other.identity.kid}
    assert successors.identity.kid not in selectors.lasting_keyring(["cleveland"])["cleveland"]


def test_a_card_outlives_a_rotation_and_not_a_compromise_after_which_the_owner_signs_anew(
    consortium: Consortium, successors: Keystore
) -> None:
    model, owner = consortium.import_model(), consortium.at["cleveland"]
    first = model_cards.describe(institution=owner, token=consortium.card(model))
    with transaction.atomic():
        institutions.change_key(token=key_change(consortium, "cleveland", "identity", successors))
        assert selectors.card(model) == first
        transaction.set_rollback(True)
    model_cards.describe(institution=owner, token=consortium.card(model, sequence=1001))
    institutions.change_key(token=key_change(consortium, "cleveland", "identity", successors, ground="compromise"))
    assert (selectors.card(model), selectors.last_card(model)) == (None, 1001)
    token = consortium.card(model, sequence=1002, key=successors.identity)
    assert model_cards.describe(institution=owner, token=token) == selectors.card(model)
    assert selectors.last_card(model) == 1002


# --- nodes


def test_what_a_node_says_replaces_what_it_said_before(consortium: Consortium) -> None:
    zurich = consortium.at["zurich"]
    for busy in (False, True):
        said = nodes.report(institution=zurich, software="0.1.0", policy="", busy=busy, time=clock.now())
    assert NodeStatus.objects.get() == said
    assert said.busy
    assert said.seen >= said.clock
