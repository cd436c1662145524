"""What a dossier says of its time, and that a coordinator cannot pass off another head's stamp as the decision's."""

import pytest

from concordat import canonical, checkpoint, merkle, timestamps
from concordat.canonical import b64
from concordat.checkpoint import Checkpoint
from concordat.reasons import Reason
from concordat.verifier import Options, bundle, verify
from concordat.verifier.examine import Status
from tests.support.tsa import Authority

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tsa") / "one")


def head_of(made, size=None):
    hashes = [merkle.leaf_hash(leaf) for leaf in made.leaves][:size]
    return Checkpoint("localhost/concordat", len(hashes), merkle.root(hashes))


def stamped(made, authority, head, consistency=()):
    """The files of a stamp over this head, which the coordinator signed."""
    note = checkpoint.sign(head, made.key, head.origin).encode()
    return {
        "timestamp.txt": note,
        "timestamp.tsr": authority.answer(timestamps.query(note).der),
        "timestamp.json": canonical.encode({"consistency": [b64(each) for each in consistency]}),
    }


def with_stamp(made, files):
    return made.sealed(made.evidence | files)


def time_of(data, **options):
    checks = {check.name: check for check in verify(data, Options(**options)).checks}
    return checks["time"]


def failed(data, **options):
    found = time_of(data, **options)
    assert found.status is Status.FAILED
    return found.reason


def test_a_stamp_over_the_dossier_s_own_head_passes_with_its_authority_s_root(made, authority):
    found = time_of(with_stamp(made, stamped(made, authority, head_of(made))), tsa=authority.root)
    assert found.status is Status.PASSED
    assert found.sentence.startswith("Time attested by the authority “Example Time-Stamping Authority”: ")


def test_a_root_that_is_none_fails_and_says_so(made, authority):
    data = with_stamp(made, stamped(made, authority, head_of(made)))
    assert failed(data, tsa=b"no certificate") is Reason.FIELD_INVALID


def test_an_earlier_head_s_stamp_does_not_cover_the_decision(made, authority):
    earlier = head_of(made, made.decision.index)
    assert failed(with_stamp(made, stamped(made, authority, earlier))) is Reason.CHECKPOINT_INVALID


def test_a_stamp_of_another_history_is_noticed(made, authority):
    other = Checkpoint("localhost/concordat", len(made.leaves), bytes(32))
    assert failed(with_stamp(made, stamped(made, authority, other))) is Reason.CONSISTENCY_INVALID


@pytest.mark.parametrize("options", [{}, {"tsa": True}])
def test_a_stamp_is_over_the_very_bytes_of_its_head(made, authority, options):
    """Even for a reader who knows no authority: the hash in the stamp is the note's, or it is not."""
    files = stamped(made, authority, head_of(made))
    files["timestamp.tsr"] = authority.answer(timestamps.query(b"something else").der)
    options = dict.fromkeys(options, authority.root)
    assert failed(with_stamp(made, files), **options) is Reason.TIMESTAMP_MISMATCH


def test_a_changed_time_needs_another_signature(made, authority):
    files = stamped(made, authority, head_of(made))
    said = timestamps.read(files["timestamp.tsr"], files["timestamp.txt"])
    written = said.time.strftime("%Y%m%d%H%M%SZ").encode()
    assert files["timestamp.tsr"].count(written) == 1
    files["timestamp.tsr"] = files["timestamp.tsr"].replace(written, b"2020" + written[4:])
    data = with_stamp(made, files)
    assert failed(data, tsa=authority.root) is Reason.TIMESTAMP_AUTHORITY_UNFIT  # not yet valid in 2020
    assert failed(data) is Reason.TIME_CONTRADICTED  # and the log's own times are later


def test_entries_that_name_a_later_time_than_the_stamp_contradict_it(made, authority, forger):
    forger.entry("prediction")["time"] = "2099-01-01T00:00:00Z"
    lying = forger.forge()
    hashes = [merkle.leaf_hash(canonical.encode(forger.contents[index])) for index in range(len(forger.contents))]
    head = Checkpoint("localhost/concordat", len(hashes), merkle.root(hashes))
    files = bundle.unpack(lying) | stamped(made, authority, head)
    for path in (bundle.MANIFEST, bundle.SIGNATURE, bundle.JSON, bundle.HTML):
        files.pop(path)
    assert failed(made.sealed(files), tsa=authority.root) is Reason.TIME_CONTRADICTED


@pytest.mark.parametrize("path", ["timestamp.txt", "timestamp.tsr", "timestamp.json"])
def test_a_stamp_comes_with_its_head_and_its_proof_or_not_at_all(made, authority, path):
    files = stamped(made, authority, head_of(made))
    del files[path]
    result = verify(with_stamp(made, files))
    assert {check.reason for check in result.checks if check.status is Status.FAILED} == {Reason.BUNDLE_ALTERED}


def test_a_stamp_that_is_none_fails_for_every_reader(made, authority):
    files = stamped(made, authority, head_of(made)) | {"timestamp.tsr": b"x"}
    assert failed(with_stamp(made, files)) is Reason.TIMESTAMP_MALFORMED
