"""A node decides for itself. Each row spoils one thing, and the node names exactly that."""

import json
from datetime import timedelta

import httpx
import pytest
from eth_utils import function_signature_to_4byte_selector

from compute.node.jobs import Node
from compute.node.registry import Registry
from compute.node.slot import EngineSlot
from concordat import canonical, clock, sealing, signatures
from concordat.canonical import digest
from concordat.client import recalls
from concordat.client.ballots import Ballots
from concordat.design import build_slopes
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey
from tests.compute.node.conftest import Engine
from tests.support.consortium import (
    DOMAIN,
    OWNER,
    PARTIES,
    REQUESTER,
    SCHEMA,
    Case,
    Consortium,
    FakeCoordinator,
    accept_all,
    new_uuid,
)

OWN = "budapest"


def answer_to(case, make_node, slug=OWN, **options):
    node, coordinator, engines = make_node(case, slug, **options)
    node.reserve(case.token)
    [answer] = coordinator.answers
    return case.read(answer), engines


def test_a_party_accepts_what_is_in_order(case, make_node):
    answer, engines = answer_to(case, make_node)
    assert (answer["role"], answer["rank"], answer["address"]) == ("party", 1, "127.0.0.1:4000")
    assert clock.parse(answer["expires"]) > clock.now()
    assert len(engines) == 1


def test_an_acceptance_says_where_the_others_find_the_engine_and_how_they_know_it(case, make_node):
    answer, _ = answer_to(case, make_node, "cleveland")
    assert (answer["address"], answer["certificate"]) == ("127.0.0.1:4000", "certificate")


def test_the_dealer_accepts_without_shares(case, make_node):
    assert case.documents_of("notary")["input"] is None
    answer, _ = answer_to(case, make_node, "notary")
    assert (answer["role"], answer["rank"]) == ("dealer", 3)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"group_columns": [1, 4, 5, 6, 7]}, Reason.DIGEST_MISMATCH),  # no model is proven for a category that moves
        ({"method": "private-lime"}, Reason.FIELD_INVALID),
    ],
)
def test_slopes_move_numbers_and_nothing_else(tmp_path, changes, reason):
    slopes = Consortium(tmp_path)
    slopes.design = build_slopes(slopes.schema, seed="tests") | changes
    case = Case.make(slopes)
    coordinator = FakeCoordinator(case, OWN)
    node = Node(slopes.homes[OWN], coordinator, slot=EngineSlot(Engine))
    node.reserve(case.token)
    node.close()
    assert case.read(coordinator.answers[0]).get("reason") == reason


def test_a_linear_model_needs_its_owners_disclosure(consortium, tmp_path, make_node):
    linear = Consortium(tmp_path, kind="linear")
    case = Case.make(linear)
    case.documents["disclosure"] = None
    coordinator = FakeCoordinator(case, OWN)
    Node(linear.homes[OWN], coordinator).reserve(case.token)
    assert case.read(coordinator.answers[0])["reason"] == Reason.DISCLOSURE_REQUIRED


# --- what spoils a ticket or its documents


def ticket_expired(case):
    past = clock.now() - timedelta(hours=1)
    case.ticket |= {"issued": clock.rfc3339(past), "expires": clock.rfc3339(past + timedelta(minutes=2))}


def ticket_names_another_definition(case):
    case.ticket["definition"] = digest(b"another")


def definition_differs(case):
    case.documents["definition"] = case.definition | {"purposes": ["decision-support", "marketing"]}


def extraction_differs(case):
    stated = case.definition["extraction"]
    other = case.definition | {"extraction": stated | {"weights_after": stated["weights_after"] + 1}}
    case.documents["definition"] = other
    case.ticket["definition"] = digest(other)


def ticket_names_another_design(case):
    case.ticket["design"] = digest(b"another")


def ticket_names_another_request(case):
    case.ticket["request"] = digest(b"another")


def schema_differs(case):
    case.documents["schema"] = SCHEMA | {"title": "Another"}


def own_vote_missing(case):
    case.documents["votes"] = [vote for vote in case.documents["votes"] if vote["institution"] != OWN]


def own_vote_revoked(case):
    case.documents["votes"].append(case.consortium.vote(OWN, approve=False, nonce=1))


def owners_vote_missing(case):
    case.documents["votes"] = [vote for vote in case.documents["votes"] if vote["institution"] != OWNER]


def owners_vote_revoked(case):
    case.documents["votes"].append(case.consortium.vote(OWNER, approve=False, nonce=1))


def own_vote_revoked_under_the_nonce_of_the_approval(case):
    case.documents["votes"].append(case.consortium.vote(OWN, approve=False, nonce=0))


def request_valid_for_longer_than_an_hour(case):
    _, payload = signatures.peek(case.prepared.token)
    payload["expires"] = clock.rfc3339(clock.now() + timedelta(minutes=61))
    case.documents["request"] = signatures.sign(payload, kind="request", key=case.consortium.identity(REQUESTER))
    case.ticket["request"] = digest(payload)


def ticket_valid_for_longer_than_ten_minutes(case):
    case.ticket["expires"] = clock.rfc3339(clock.now() + timedelta(minutes=11))


def result_sealed_to_no_key(case):
    _, payload = signatures.peek(case.prepared.token)
    payload["output_key"] = "AAAA"
    case.documents["request"] = signatures.sign(payload, kind="request", key=case.consortium.identity(REQUESTER))
    case.ticket["request"] = digest(payload)


def quorum_missing(case):
    case.documents["votes"] = [case.consortium.vote(OWN), case.consortium.vote(OWNER)]


def revocations_break_the_quorum(case):
    others = [case.consortium.vote(slug, approve=False, nonce=1) for slug in ("zurich", REQUESTER)]
    case.documents["votes"] += others


def vote_of_an_unpinned_address(case):
    other = case.consortium.vote("zurich", key=case.consortium.homes["notary"].keys.chain)
    case.documents["votes"][2] = other


def vote_on_another_definition(case):
    case.documents["votes"][2] = case.consortium.vote("zurich", about=digest(b"another"))


def vote_with_a_turned_meaning(case):
    case.documents["votes"].append(case.consortium.vote("zurich", approve=False, nonce=1) | {"approve": True})


def request_signed_by_another_key(case):
    _, payload = signatures.peek(case.prepared.token)
    case.documents["request"] = signatures.sign(payload, kind="request", key=SigningKey.generate())


def share_of_another_party(case):
    case.documents["input"] = case.prepared.sealed["zurich"]


def share_missing(case):
    case.documents["input"] = None


def model_share_of_another_party(case):
    case.documents["model_share"] = case.consortium.published[1]["zurich"]


def manifest_signed_by_another_key(case):
    case.documents["manifest"] = signatures.sign(case.consortium.manifest, kind="model", key=SigningKey.generate())


def protocol_differs(case):
    """The coordinator hands out a protocol with another legal ground than the one that the institutions agreed on."""
    bases = [case.documents["protocol"]["bases"][0] | {"ground": "care"}]
    case.documents["protocol"] = case.documents["protocol"] | {"bases": bases}


def consent_withdrawn(case):
    case.documents["withdrawal"] = case.consortium.withdrawal()


def model_recalled(case):
    case.documents["recall"] = case.consortium.recall()


def recall_by_another(case):
    case.documents["recall"] = case.consortium.recall(REQUESTER)


def recall_of_another_model(case):
    case.documents["recall"] = case.consortium.recall(model=digest(b"another"))


def recall_with_a_turned_reason(case):
    _, payload = signatures.peek(case.consortium.recall())
    forged = signatures.sign(payload | {"reason": "superseded"}, kind="recall", key=SigningKey.generate())
    case.documents["recall"] = forged


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (ticket_expired, Reason.TICKET_EXPIRED),
        (ticket_names_another_definition, Reason.DIGEST_MISMATCH),
        (definition_differs, Reason.DIGEST_MISMATCH),
        (extraction_differs, Reason.FIELD_INVALID),
        (ticket_names_another_design, Reason.DIGEST_MISMATCH),
        (ticket_names_another_request, Reason.DIGEST_MISMATCH),
        (schema_differs, Reason.DIGEST_MISMATCH),
        (own_vote_missing, Reason.DEFINITION_NOT_APPROVED),
        (own_vote_revoked, Reason.DEFINITION_NOT_APPROVED),
        (own_vote_revoked_under_the_nonce_of_the_approval, Reason.DEFINITION_NOT_APPROVED),
        (owners_vote_missing, Reason.DEFINITION_NOT_APPROVED),
        (owners_vote_revoked, Reason.DEFINITION_NOT_APPROVED),
        (ticket_valid_for_longer_than_ten_minutes, Reason.FIELD_INVALID),
        (request_valid_for_longer_than_an_hour, Reason.FIELD_INVALID),
        (result_sealed_to_no_key, Reason.FIELD_INVALID),
        (quorum_missing, Reason.QUORUM_MISSING),
        (revocations_break_the_quorum, Reason.QUORUM_MISSING),
        (vote_of_an_unpinned_address, Reason.VOTE_INVALID),
        (vote_on_another_definition, Reason.VOTE_INVALID),
        (vote_with_a_turned_meaning, Reason.VOTE_INVALID),
        (request_signed_by_another_key, Reason.KEY_UNKNOWN),
        (share_of_another_party, Reason.SEAL_BROKEN),
        (share_missing, Reason.WRONG_PARTY),
        (model_share_of_another_party, Reason.SEAL_BROKEN),
        (manifest_signed_by_another_key, Reason.KEY_UNKNOWN),
        (consent_withdrawn, Reason.CONSENT_WITHDRAWN),
        (protocol_differs, Reason.DIGEST_MISMATCH),
        (model_recalled, Reason.MODEL_RECALLED),
        (recall_by_another, Reason.WRONG_INSTITUTION),
        (recall_of_another_model, Reason.DIGEST_MISMATCH),
        (recall_with_a_turned_reason, Reason.KEY_UNKNOWN),
    ],
)
def test_whatever_is_wrong_is_refused_by_name(case, make_node, spoil, reason):
    spoil(case)
    answer, engines = answer_to(case, make_node)
    assert answer["reason"] == reason
    assert engines == []


def test_a_recall_that_was_seen_once_cannot_be_left_out(consortium, make_node):
    """What one job's documents held is remembered for all others, and by the node that is started anew."""
    told = Case.make(consortium)
    told.documents["recall"] = consortium.recall()
    assert answer_to(told, make_node)[0]["reason"] == Reason.MODEL_RECALLED
    answer, engines = answer_to(Case.make(consortium), make_node)
    assert (answer["reason"], engines) == (Reason.MODEL_RECALLED, [])


def test_a_recall_that_is_none_is_not_remembered(consortium, make_node):
    told = Case.make(consortium)
    told.documents["recall"] = consortium.recall(REQUESTER)
    assert answer_to(told, make_node)[0]["reason"] == Reason.WRONG_INSTITUTION
    assert "reason" not in answer_to(Case.make(consortium), make_node)[0]


def test_the_owners_own_node_needs_nobody_to_tell_it(consortium, make_node):
    file = recalls.own(consortium.homes[OWNER].directory, digest(consortium.manifest))
    file.parent.mkdir()
    file.write_text(consortium.recall())
    assert answer_to(Case.make(consortium), make_node, OWNER)[0]["reason"] == Reason.MODEL_RECALLED
    file.unlink()


def test_a_tampered_commitment_is_refused(consortium, make_node):
    """The requester signs a commitment that its sealed share does not open."""
    case = Case.make(consortium)
    _, payload = signatures.peek(case.prepared.token)
    payload["commitments"][0][OWN] = payload["commitments"][0]["zurich"]
    case.documents["request"] = signatures.sign(payload, kind="request", key=consortium.identity(REQUESTER))
    case.ticket["request"] = digest(payload)
    answer, _ = answer_to(case, make_node)
    assert answer["reason"] == Reason.SEAL_BROKEN  # the share was sealed for the request as it was signed first


def test_a_share_that_is_not_the_committed_one_is_refused(consortium, make_node):
    """The share is sealed for this very request, but it is another share."""
    case = Case.make(consortium)
    context = {"label": "input", "party": OWN, "request": case.prepared.digest}
    other = b"\x01" * (32 + 8 * len(consortium.schema.columns))
    case.documents["input"] = sealing.seal(consortium.party_keys[OWN], other, context=context)
    answer, _ = answer_to(case, make_node)
    assert answer["reason"] == Reason.COMMITMENT_MISMATCH


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"until": clock.now() - timedelta(hours=1)}, Reason.CONSENT_EXPIRED),
        (
            {
                "signer": {"capacity": "parent", "assent": digest(b"assent")},
                "reconsent": {"on": clock.rfc3339(clock.now() - timedelta(hours=1)), "why": "majority"},
            },
            Reason.RECONSENT_NEEDED,
        ),
        ({"study": "another"}, Reason.CONSENT_MISSING),
        ({"purposes": ["teaching"]}, Reason.CONSENT_MISSING),
        ({"subject": new_uuid()}, Reason.CONSENT_MISSING),
    ],
)
def test_a_consent_that_does_not_cover_the_request_is_refused(consortium, make_node, changes, reason):
    case = Case.make(consortium, consent=consortium.give_consent(**changes))
    answer, _ = answer_to(case, make_node)
    assert answer["reason"] == reason


def test_a_ground_that_the_protocol_does_not_state_is_refused(consortium, make_node):
    consortium.write_policy(OWN, grounds=["consent", "care"])
    answer, _ = answer_to(Case.make(consortium, ground="care", consent=""), make_node)
    assert answer["reason"] == Reason.LEGAL_BASIS_MISSING


def test_another_ground_is_accepted_where_protocol_and_policy_have_it(tmp_path, make_node):
    other = Consortium(tmp_path, ground="care")
    for grounds, reason in ((["care"], None), (["consent"], Reason.POLICY_REFUSES)):
        other.write_policy(OWN, grounds=grounds)
        case = Case.make(other)
        coordinator = FakeCoordinator(case, OWN)
        node = Node(other.homes[OWN], coordinator, slot=EngineSlot(Engine))
        node.reserve(case.token)
        node.close()
        assert case.read(coordinator.answers[0]).get("reason") == reason


def test_emergent_use_is_refused_unless_the_definition_allows_it(consortium, make_node):
    answer, engines = answer_to(Case.make(consortium, urgency="emergent"), make_node)
    assert answer["reason"] == Reason.EMERGENT_USE_REFUSED
    assert engines == []


def test_a_person_who_decides_for_themself_by_now_is_asked_again(consortium, make_node):
    token = consortium.give_consent(signer={"capacity": "representative", "assent": ""})
    other = consortium.give_consent(signer={"capacity": "representative", "assent": ""})
    for about, reason in ((other, None), (token, Reason.RECONSENT_NEEDED)):
        case = Case.make(consortium, consent=token)
        case.documents["capacity"] = consortium.capacity(about)
        answer, _ = answer_to(case, make_node)
        assert answer.get("reason") == reason


def test_an_expired_request_is_refused(consortium, make_node):
    case = Case.make(consortium, now=clock.now() - timedelta(hours=1))
    answer, _ = answer_to(case, make_node)
    assert answer["reason"] == Reason.EXPIRED


def test_a_requester_that_is_not_pinned_is_refused(consortium, make_node):
    home = consortium.homes[OWN]
    enrolments = {slug: other.enrolment for slug, other in consortium.homes.items() if slug != REQUESTER}
    case = Case.make(consortium)
    case.documents["votes"] = case.documents["votes"][:3]
    home.pin(canonical.encode(consortium.pins(enrolments=enrolments)))
    try:
        answer, _ = answer_to(case, make_node)
        assert answer["reason"] == Reason.KEY_UNKNOWN
    finally:
        home.pin(canonical.encode(consortium.pins()))


# --- tickets that get no answer at all


def test_a_ticket_of_somebody_else_is_not_even_answered(case, make_node):
    case.key = SigningKey.generate()
    node, coordinator, engines = make_node(case)
    with pytest.raises(Refused) as caught:
        node.reserve(case.token)
    assert caught.value.reason is Reason.KEY_UNKNOWN
    assert coordinator.answers == engines == []


def test_a_ticket_that_names_other_nodes_is_not_answered(case, make_node):
    case.ticket |= {"parties": ["cleveland", "zurich"]}
    node, coordinator, _ = make_node(case)
    with pytest.raises(Refused) as caught:
        node.reserve(case.token)
    assert caught.value.reason is Reason.WRONG_PARTY
    assert coordinator.answers == []


# --- the institution's own policy


def test_without_a_policy_file_everything_is_refused(case, make_node):
    (case.consortium.homes[OWN].directory / "policy.json").unlink()
    answer, _ = answer_to(case, make_node)
    assert answer["reason"] == Reason.POLICY_MISSING


@pytest.mark.parametrize(
    "changes",
    [{"studies": []}, {"requesters": ["zurich"]}, {"purposes": []}, {"grounds": ["waiver"]}, {"jobs_a_day": 0}],
)
def test_the_policy_narrows_what_the_votes_allow(case, make_node, changes):
    case.consortium.write_policy(OWN, **changes)
    answer, _ = answer_to(case, make_node)
    assert answer["reason"] == Reason.POLICY_REFUSES


def test_a_policy_may_name_the_definition_instead_of_the_study(case, make_node):
    case.consortium.write_policy(OWN, studies=[], definitions=[digest(case.definition)])
    answer, _ = answer_to(case, make_node)
    assert "reason" not in answer


def test_the_days_jobs_are_counted(consortium, make_node):
    consortium.write_policy(OWN, jobs_a_day=1)
    first = Case.make(consortium)
    node, coordinator, _ = make_node(first)
    node.reserve(first.token)
    accept_all(first)
    node.start(first.batch)
    second = Case.make(consortium)
    coordinator.case = second
    node.reserve(second.token)
    assert "reason" not in first.read(coordinator.answers[0])
    assert second.read(coordinator.answers[1])["reason"] == Reason.POLICY_REFUSES


# --- what was revoked stays revoked


def test_a_revocation_that_was_seen_once_cannot_be_left_out_later(consortium, make_node):
    first, second = Case.make(consortium), Case.make(consortium)
    first.documents["votes"].append(consortium.vote("zurich", approve=False, nonce=1))
    answer, _ = answer_to(first, make_node)
    assert "reason" not in answer  # three others approve
    answer, _ = answer_to(second, make_node)  # a new process, which reads what the first wrote down
    assert answer["reason"] == Reason.VOTE_INVALID


def test_a_vote_after_the_revocation_that_was_seen_counts_again(consortium, make_node):
    first, second = Case.make(consortium), Case.make(consortium)
    first.documents["votes"].append(consortium.vote("zurich", approve=False, nonce=1))
    answer_to(first, make_node)
    second.documents["votes"].append(consortium.vote("zurich", nonce=2))
    answer, _ = answer_to(second, make_node)
    assert "reason" not in answer


def test_the_institutions_own_revocation_is_believed_before_any_vote(case, make_node):
    ballots = Ballots(case.consortium.homes[OWN].directory)
    ballots.mark(digest(case.definition), approve=False)
    try:
        answer, engines = answer_to(case, make_node)
        assert answer["reason"] == Reason.DEFINITION_NOT_APPROVED
        assert engines == []
    finally:
        ballots.mark(digest(case.definition), approve=True)
    answer, _ = answer_to(Case.make(case.consortium), make_node)
    assert "reason" not in answer


# --- the chain: it can only refuse


def registry(*, authorised=True, approved=True, chain_id=DOMAIN.chain_id):
    answers = {
        function_signature_to_4byte_selector("authorised(bytes32)").hex(): authorised,
        function_signature_to_4byte_selector("approved_by(bytes32,address)").hex(): approved,
    }

    def respond(request: httpx.Request) -> httpx.Response:
        call = json.loads(request.content)
        if call["method"] == "eth_chainId":
            return httpx.Response(200, json={"jsonrpc": "2.0", "id": 1, "result": hex(chain_id)})
        data = call["params"][0]["data"]
        assert call["params"][0]["to"] == DOMAIN.registry
        answer = answers[data[2:10]]
        return httpx.Response(200, json={"result": "0x" if answer is None else f"0x{int(answer):064x}"})

    return Registry("http://chain", DOMAIN, transport=httpx.MockTransport(respond))


@pytest.mark.parametrize(
    ("hint", "reason"),
    [
        (registry(approved=False), Reason.DEFINITION_NOT_APPROVED),
        (registry(authorised=False), Reason.QUORUM_MISSING),
    ],
)
def test_a_revocation_that_only_the_chain_knows_of_is_heard(case, make_node, hint, reason):
    answer, _ = answer_to(case, make_node, registry=hint)
    assert answer["reason"] == reason


@pytest.mark.parametrize("hint", [registry(), registry(authorised=False, chain_id=1)])
def test_a_chain_that_agrees_or_is_another_one_changes_nothing(case, make_node, hint):
    answer, _ = answer_to(case, make_node, registry=hint)
    assert "reason" not in answer


@pytest.mark.parametrize(
    "silent",
    [
        registry(chain_id=1),
        Registry("http://127.0.0.1:1", DOMAIN),
        Registry("http://c", DOMAIN, transport=httpx.MockTransport(lambda request: httpx.Response(200, text="?"))),
        registry(authorised=None),
    ],
)
def test_a_policy_may_require_the_chains_own_word(consortium, make_node, silent):
    answer, _ = answer_to(Case.make(consortium), make_node, registry=silent)
    assert "reason" not in answer
    consortium.write_policy(OWN, chain="required")
    answer, _ = answer_to(Case.make(consortium), make_node, registry=silent)
    assert answer["reason"] == Reason.CHAIN_UNAVAILABLE
    answer, _ = answer_to(Case.make(consortium), make_node, registry=registry())
    assert "reason" not in answer


def test_the_chains_yes_replaces_no_vote(case, make_node):
    own_vote_missing(case)
    answer, _ = answer_to(case, make_node, registry=registry())
    assert answer["reason"] == Reason.DEFINITION_NOT_APPROVED


def test_every_party_reaches_the_same_decision(consortium, make_node):
    for slug in PARTIES:
        answer, _ = answer_to(Case.make(consortium), make_node, slug)
        assert "reason" not in answer
