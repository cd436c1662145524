"""A node heeds the key changes that its own pinned offline keys signed, at once and without a restart."""

import pytest

from compute.node.jobs import Node
from concordat import clock, signatures
from concordat.client.keys import OwnKeys
from concordat.key_change import KeyHistory, build_change
from concordat.reasons import Reason, Refused
from tests.compute.node.conftest import Engine, EngineSlot
from tests.support.consortium import OWNER, PARTIES, REQUESTER, Case, Consortium, FakeCoordinator

OWN = "budapest"


@pytest.fixture
def changing(tmp_path):
    made = Consortium(tmp_path)
    _ = made.votes, made.consent, made.published  # signed by the first keys
    return made


def change(consortium, slug, kind, *, ground="rotation"):
    """The institution changes its key; the node that is tested pins the change."""
    home = consortium.homes[slug]
    history = KeyHistory(consortium.homes[OWN].pins.enrolment(slug))
    new = home.keys.successors.create([kind])
    token = build_change(
        history,
        kind=kind,
        key=new.public()[kind],
        ground=ground,
        issued=clock.now(),
        offline=home.keys.offline,
        successor=getattr(new, kind) if kind in ("identity", "offline") else None,
    )
    home.keys.promote(kind)
    consortium.homes[OWN].update_pins([token])
    return token


def answer(case, node, coordinator):
    coordinator.case = case
    before = len(coordinator.answers)
    node.reserve(case.token)
    node.release(case.ticket["ticket"])
    return case.read(coordinator.answers[before]) if len(coordinator.answers) > before else None


@pytest.fixture
def node(changing):
    coordinator = FakeCoordinator(Case.make(changing), OWN)
    made = Node(changing.homes[OWN], coordinator, slot=EngineSlot(Engine))
    yield lambda case: answer(case, made, coordinator)
    made.close()


def test_a_manifest_and_a_consent_outlive_a_rotation_and_the_new_key_signs_requests(changing, node):
    assert "role" in node(Case.make(changing))
    for slug in (OWNER, REQUESTER):
        change(changing, slug, "identity")
    assert "role" in node(Case.make(changing))


def test_a_request_by_a_replaced_key_is_refused(changing, node):
    case = Case.make(changing)
    change(changing, REQUESTER, "identity")
    assert node(case)["reason"] == Reason.KEY_UNKNOWN


def test_what_a_compromised_key_signed_is_refused_whenever_it_was_signed(changing, node):
    change(changing, OWNER, "identity", ground="compromise")
    assert node(Case.make(changing))["reason"] == Reason.KEY_UNKNOWN


def test_votes_by_a_replaced_chain_key_do_not_count_and_new_ones_begin_anew(changing, node):
    changing.votes[:] = [changing.vote(slug, nonce=5) for slug in (*PARTIES, REQUESTER)]
    assert "role" in node(Case.make(changing))
    change(changing, "zurich", "chain")
    assert node(Case.make(changing))["reason"] == Reason.VOTE_INVALID
    changing.votes[:] = [vote for vote in changing.votes if vote["institution"] != "zurich"]
    changing.votes.append(changing.vote("zurich"))
    assert "role" in node(Case.make(changing))


def test_shares_sealed_to_the_node_s_old_key_are_still_opened(changing, node):
    case = Case.make(changing)
    change(changing, OWN, "sealing")
    assert "role" in node(case)


def test_a_change_that_another_key_signed_changes_nothing(changing):
    home, forger = changing.homes[OWN], changing.homes["zurich"].keys.offline
    with pytest.raises(Refused) as caught:
        home.update_pins([_forged(changing, forger)])
    assert caught.value.reason is Reason.KEY_UNKNOWN
    assert home.pins.history(OWNER).sequence == 0


def _forged(consortium, key):
    new = consortium.homes[OWNER].keys.successors.create(["client"])
    token = build_change(
        consortium.homes[OWN].pins.history(OWNER),
        kind="client",
        key=new.public()["client"],
        ground="rotation",
        issued=clock.now(),
        offline=consortium.homes[OWNER].keys.offline,
    )
    return signatures.sign(signatures.peek(token)[1], kind="key-change", key=key)


def test_the_node_s_own_keys_change_in_its_own_folder(changing):
    home, sent = changing.homes[OWN], []
    own = OwnKeys(home.directory, OWN, home.keys, sent.append)
    own.rotate("client", ground="rotation", offline=home.keys.offline)
    assert home.pins.history(OWN).tokens == tuple(sent)
    assert home.keys.client.kid == home.pins.history(OWN).need("client").key_id
