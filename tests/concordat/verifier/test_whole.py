"""Completeness and witnesses of a log that no dossier carries, checked with a copy of it: as for one that does."""

import pytest

from concordat import canonical, merkle, mirror, tiles
from concordat.checkpoint import Checkpoint
from concordat.client.cli import main as concordat
from concordat.reasons import Reason
from concordat.verifier import Options, verify
from concordat.verifier.__main__ import main
from concordat.verifier.case import Case
from concordat.verifier.evidence import Evidence
from concordat.verifier.examine import Status
from concordat.verifier.whole import Whole
from tests.concordat.verifier.test_tampering import consent_lapses, end_study, withdraw_consent
from tests.concordat.verifier.test_witnessing import keys
from tests.support.consortium import NODES

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def large(monkeypatch):
    """The log has outgrown what a dossier carries of it."""
    monkeypatch.setattr("concordat.verifier.completeness.LARGEST_LOG", 10)


def write(folder, leaves):
    for index in range(0, len(leaves), 256):
        path = folder / str(mirror.bundle_at(len(leaves), index // 256))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tiles.bundle(leaves[index : index + 256]))
    return folder


@pytest.fixture
def copy(made, tmp_path):
    return write(tmp_path / "copy", made.leaves)


def without_log(made):
    return made.sealed({path: content for path, content in made.evidence.items() if path != "log.jsonl"})


def checks(data, folder, **options):
    return {check.name: check for check in verify(data, Options(log=folder, **options)).checks}


def copied(forger, tmp_path):
    """The forger's own dossier, and a copy of the log that it signs."""
    forger.without_log = True
    data = forger.forge()
    leaves = [canonical.encode(forger.contents[index]) for index in range(len(forger.contents))]
    return data, write(tmp_path / "forged", leaves)


def test_with_a_copy_the_same_is_said_as_of_a_log_that_is_carried(made, copy):
    found, carried = checks(without_log(made), copy), checks(made.data, None)
    assert found.pop("log").status is Status.PASSED
    del found["bundle"], carried["bundle"]  # one file less
    assert found == carried
    assert found["completeness"].status is Status.PASSED


def test_without_one_it_is_not_checkable(made):
    assert checks(without_log(made), None)["completeness"].status is Status.NOT_CHECKABLE


@pytest.mark.parametrize(
    ("record", "also"),
    [
        (lambda forger: end_study(forger, "study.suspended"), {}),
        (lambda forger: end_study(forger, "study.closed"), {}),
        (withdraw_consent, {"consent": Reason.CONSENT_WITHDRAWN}),
        (consent_lapses, {"consent": Reason.RECONSENT_NEEDED}),
        (lambda forger: None, {}),  # a vote
    ],
)
def test_an_entry_that_the_operator_leaves_out_is_noticed(forger, tmp_path, record, also):
    record(forger)
    forger.hide("vote long-beach")
    data, folder = copied(forger, tmp_path)
    failed = {name: check.reason for name, check in checks(data, folder).items() if check.status is Status.FAILED}
    assert failed == {"completeness": Reason.INCOMPLETE} | also


def test_leaving_a_witness_out_so_that_fewer_are_needed_is_noticed(made, forger, tmp_path):
    forger.hide("enrol notary")
    forger.cosigners = keys(made, "cleveland", "budapest")
    data, folder = copied(forger, tmp_path)
    found = checks(data, folder)
    assert (found["completeness"].status, found["completeness"].reason) == (Status.FAILED, Reason.INCOMPLETE)


@pytest.mark.parametrize(("slugs", "status"), [(NODES[:3], Status.PASSED), (NODES[:2], Status.NOT_CHECKABLE)])
def test_the_log_itself_says_who_the_witnesses_are(made, forger, tmp_path, slugs, status):
    forger.cosigners = keys(made, *slugs)
    data, folder = copied(forger, tmp_path)
    found = checks(data, folder)["witnesses"]
    assert found.status is status
    assert f"of {len(NODES)} witnesses (" in found.sentence


@pytest.mark.parametrize("change", ["altered", "left out", "swapped", "cut", "more"])
def test_a_copy_of_other_entries_shows_nothing_and_speaks_for_itself(made, tmp_path, change):
    """Wherever it is: each leaf in turn."""
    data = without_log(made)
    for place in range(0, len(made.leaves) - 1, 5):
        leaves, expected = list(made.leaves), Reason.LOG_DIVERGES
        match change:
            case "altered":
                leaves[place] = leaves[place].replace(b'"time":"2', b'"time":"3', 1)
            case "left out":
                del leaves[place]
                expected = Reason.LOG_SHORT
            case "swapped":
                leaves[place], leaves[place + 1] = leaves[place + 1], leaves[place]
            case "cut":
                del leaves[place + 1 :]
                expected = Reason.LOG_SHORT
            case "more":
                leaves.insert(place, leaves[place])
        found = checks(data, write(tmp_path / str(place), leaves))
        assert (found["log"].status, found["log"].reason) == (Status.FAILED, expected)
        assert found["completeness"].status is Status.NOT_CHECKABLE
        assert [name for name, check in found.items() if check.status is Status.FAILED] == ["log"]


def test_entries_of_another_log_and_no_copy_at_all(made, tmp_path):
    other = write(tmp_path / "other", [b'{"n":%d}' % number for number in range(len(made.leaves) + 300)])
    found = checks(without_log(made), other)
    assert (found["log"].status, found["log"].reason) == (Status.FAILED, Reason.LOG_DIVERGES)
    found = checks(without_log(made), tmp_path / "nowhere")
    assert (found["log"].status, found["log"].reason) == (Status.FAILED, Reason.LOG_MISSING)


def test_a_log_that_is_carried_still_counts_beside_a_bad_copy(made, tmp_path):
    found = checks(made.data, tmp_path)
    assert found["log"].reason is Reason.LOG_MISSING
    assert found["completeness"].status is Status.PASSED


def test_an_entry_of_the_log_itself_that_cannot_be_read_is_a_failure(forger, tmp_path):
    """The operator signed it: a key that stands there twice would be read in one way here and in another elsewhere."""
    forger.contents[forger.index("vote long-beach")]["more"] = True
    forger.hide("vote long-beach")
    data, folder = copied(forger, tmp_path)
    found = checks(data, folder)
    assert (found["log"].status, found["completeness"].status) == (Status.PASSED, Status.FAILED)
    assert found["completeness"].reason is Reason.FIELD_UNKNOWN


def test_only_what_concerns_the_case_is_kept(made, tmp_path, monkeypatch):
    """However many others there are."""
    held: list[int] = []
    real = mirror.bundles

    def counted(folder, size):
        for each in real(folder, size):
            held.append(len(each))
            yield each

    monkeypatch.setattr(mirror, "bundles", counted)
    other = made.leaves[made.decision.entries["displayed"].index].replace(
        made.decision.job.encode(), b"0" * 8 + made.decision.job.encode()[8:]
    )
    leaves = [*made.leaves, *[other] * 2000]
    folder = write(tmp_path / "copy", leaves)
    case = Case(Evidence.load(made.evidence), log=folder)
    head = Checkpoint("log", len(leaves), merkle.root([merkle.leaf_hash(leaf) for leaf in leaves]))
    case.evidence.__dict__["head"] = head
    found = Whole.of(case)
    assert found.folder is None
    assert len(found.entries) == len(case.evidence.entries)
    assert max(held) == 256


def test_both_commands_take_the_folder(made, copy, tmp_path, capsys):
    file = tmp_path / "dossier.zip"
    file.write_bytes(without_log(made))
    assert main([str(file), "--log", str(copy)]) == 0
    out = capsys.readouterr().out
    assert "ok             log " in out
    assert main([str(file), "--log", str(tmp_path / "nowhere")]) == 1
    assert "THE COPY OF THE LOG DOES NOT FIT" in capsys.readouterr().out
    assert "log" in {parameter.name for parameter in concordat.commands["verify"].params}
