"""What a dossier says of the log's witnesses, and that a coordinator with two histories cannot borrow their names."""

import pytest

from concordat import canonical, clock, cosignature, merkle
from concordat.canonical import b64
from concordat.checkpoint import Checkpoint, sign
from concordat.enrolment import build_enrolment
from concordat.reasons import Reason
from concordat.verifier import Options, bundle, verify
from concordat.verifier.examine import Status
from tests.support.consortium import NODES

pytestmark = pytest.mark.django_db


def keys(made, *slugs):
    return {slug: made.decision.consortium.identity(slug) for slug in slugs}


def witnesses(data, **options):
    checks = {check.name: check for check in verify(data, Options(**options)).checks}
    return checks["witnesses"]


def with_head(made, head, lines, consistency=()):
    """The true dossier beside a head that somebody signed and cosigned."""
    note = sign(head, made.key, head.origin) + lines
    content = {"head": {"note": note, "consistency": [b64(each) for each in consistency]}}
    return made.sealed(made.evidence | {"witnesses.json": canonical.encode(content)})


def lines(made, head, *slugs):
    return "".join(
        cosignature.cosign(head.body, key, cosignature.name_of(head.origin, slug), clock.now())
        for slug, key in keys(made, *slugs).items()
    )


def head_of(made, size=None):
    hashes = [merkle.leaf_hash(leaf) for leaf in made.leaves][:size]
    return Checkpoint("localhost/concordat", len(hashes), merkle.root(hashes))


@pytest.mark.parametrize(
    ("slugs", "status", "reason"),
    [
        (NODES, Status.PASSED, None),
        (NODES[:3], Status.PASSED, None),
        (NODES[1:], Status.PASSED, None),
        (NODES[:2], Status.NOT_CHECKABLE, Reason.WITNESSES_TOO_FEW),
        ([], Status.NOT_CHECKABLE, Reason.WITNESSES_MISSING),
        (["long-beach"], Status.NOT_CHECKABLE, Reason.WITNESSES_MISSING),  # has no node
    ],
)
def test_three_of_four_are_enough(made, slugs, status, reason):
    head = head_of(made)
    found = witnesses(with_head(made, head, lines(made, head, *slugs)))
    assert (found.status, found.reason) == (status, reason)


def test_a_rewritten_history_can_have_the_cosignatures_of_those_who_lie_and_of_no_other(made, forger):
    forger.contents[0]["public"]["jurisdiction"] = "FR"
    forger.cosigners = keys(made, "notary")
    found = witnesses(forger.forge())
    assert (found.status, found.reason) == (Status.NOT_CHECKABLE, Reason.WITNESSES_TOO_FEW)
    assert witnesses(forger.forge(), witnessed=True).status is Status.FAILED


def test_lines_of_the_true_history_under_another_are_false(made):
    true, other = head_of(made), Checkpoint("localhost/concordat", len(made.leaves), bytes(32))
    found = witnesses(with_head(made, true, lines(made, true, "zurich") + lines(made, other, "budapest")))
    assert (found.status, found.reason) == (Status.FAILED, Reason.COSIGNATURE_INVALID)


def test_an_earlier_head_is_enough_if_it_covers_the_decision_and_the_dossier_s_head_extends_it(made):
    hashes = [merkle.leaf_hash(leaf) for leaf in made.leaves]
    earlier = head_of(made, len(hashes) - 1)
    proof = merkle.consistency_proof(earlier.size, len(hashes), lambda start, stop: merkle.root(hashes[start:stop]))
    assert witnesses(with_head(made, earlier, lines(made, earlier, *NODES), proof)).status is Status.PASSED
    found = witnesses(with_head(made, earlier, lines(made, earlier, *NODES), proof[:-1]))
    assert (found.status, found.reason) == (Status.FAILED, Reason.CONSISTENCY_INVALID)


def test_a_head_from_before_the_decision_proves_nothing_about_it(made):
    hashes = [merkle.leaf_hash(leaf) for leaf in made.leaves]
    early = head_of(made, made.decision.index)
    proof = merkle.consistency_proof(early.size, len(hashes), lambda start, stop: merkle.root(hashes[start:stop]))
    found = witnesses(with_head(made, early, lines(made, early, *NODES), proof))
    assert (found.status, found.reason) == (Status.FAILED, Reason.CHECKPOINT_INVALID)


def test_leaving_a_witness_out_so_that_fewer_are_needed_is_noticed(made, forger):
    forger.hide("enrol notary")
    forger.cosigners = keys(made, "cleveland", "budapest")  # two of three would be enough
    found = {check.name: check for check in verify(forger.forge()).checks}
    assert (found["completeness"].status, found["completeness"].reason) == (Status.FAILED, Reason.INCOMPLETE)


def test_the_readable_dossier_says_how_many_witnessed(made):
    head = head_of(made)
    told = verify(with_head(made, head, lines(made, head, *NODES[:2])))
    assert told.story["trust"]["witnesses"] == {
        "size": head.size,
        "of": ("budapest", "cleveland", "notary", "zurich"),
        "cosigned": ("budapest", "cleveland"),
        "needed": 3,
        "all_shown": True,
    }


def test_the_counted_witnesses_are_among_those_whose_keys_are_to_be_compared(made):
    head = head_of(made)
    checks = {check.name: check for check in verify(with_head(made, head, lines(made, head, *NODES))).checks}
    assert all(slug in checks["keys"].sentence for slug in NODES)


@pytest.fixture
def large(monkeypatch):
    """The log has outgrown what a dossier carries of it."""
    monkeypatch.setattr("concordat.verifier.completeness.LARGEST_LOG", 10)


@pytest.fixture
def hiding(forger, large):
    """A forger who leaves out that Zürich and the notary are enrolled: two of two would be enough."""
    for slug in ("zurich", "notary"):
        forger.hide(f"enrol {slug}")
    forger.without_log = True
    forger.cosigners = keys(forger.dossier, "cleveland", "budapest")
    return forger


def kids(made, *slugs):
    return {slug: key.public.kid for slug, key in keys(made, *slugs).items()}


def test_in_a_large_log_nothing_is_concluded_from_the_enrolments_that_the_operator_shows(hiding):
    data = hiding.forge()
    found = witnesses(data)
    assert (found.status, found.reason) == (Status.NOT_CHECKABLE, Reason.INCOMPLETE)
    assert witnesses(data, witnessed=True).status is Status.FAILED


@pytest.mark.parametrize(
    ("cosigned", "named", "status", "reason"),
    [
        (NODES[:3], NODES, Status.PASSED, None),
        (NODES[:2], NODES, Status.NOT_CHECKABLE, Reason.WITNESSES_TOO_FEW),
        (NODES[:2], NODES[:2], Status.PASSED, None),
        (NODES[1:], NODES[:1], Status.NOT_CHECKABLE, Reason.WITNESSES_TOO_FEW),
        (NODES, ["long-beach"], Status.NOT_CHECKABLE, Reason.INCOMPLETE),  # has no node
    ],
)
def test_in_a_large_log_those_count_whose_keys_the_reader_names(forger, large, cosigned, named, status, reason):
    forger.without_log = True
    forger.cosigners = keys(forger.dossier, *cosigned)
    found = witnesses(forger.forge(), keys=kids(forger.dossier, *named))
    assert (found.status, found.reason) == (status, reason)


def test_the_readable_dossier_of_a_large_log_claims_no_quorum(made, forger, large):
    forger.without_log = True
    forger.cosigners = keys(made, *NODES)
    files = made.evidence | bundle.unpack(forger.forge())
    page = files[bundle.HTML].decode()
    assert "there may be witnesses that it does not name" in page
    assert "are needed, so that no two" not in page


def test_two_institutions_with_one_identity_key_are_refused(made, forger):
    """Otherwise one key would cosign, and sign, for both."""
    own = made.decision.consortium.homes["zurich"].keys
    twin = build_enrolment(
        own, institution="notary", name="Notary", jurisdiction="CH", roles=["dealer"], issued=clock.now()
    )
    forger.put("enrol notary", "enrolment", twin)
    forger.cosigners = dict.fromkeys(("zurich", "notary"), own.identity)
    checks = {check.name: check for check in verify(forger.forge()).checks}
    assert (checks["witnesses"].status, checks["witnesses"].reason) == (Status.FAILED, Reason.CONFLICT)
