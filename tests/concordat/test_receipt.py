from datetime import timedelta
from decimal import Decimal

import pytest

from concordat import canonical, documents, receipt
from concordat.reasons import Reason, Refused
from tests.support.transcripts import transcripts

NODES = ["cleveland", "budapest", "zurich", "notary"]
OUTPUTS = [{"prediction": canonical.digest("a"), "explanation": canonical.digest("b")}]


def write(study, node, **changes):
    fields = {
        "node": node,
        "rounds": 22,
        "bytes_sent": 1234,
        "cpu_seconds": Decimal("0.12345"),
        "energy_joules": Decimal("1.5"),
        "transcripts": transcripts(NODES, node),
        "outputs": None if node == "notary" else OUTPUTS,
        "started": study.now,
        "finished": study.now + timedelta(seconds=2),
        "key": study.keys[node],
    }
    return receipt.write(study.ticket, **{**fields, **changes})


def altered(study, node, **changes):
    """A receipt signed by the node itself, about something else."""
    payload = {**receipt.read_receipt(write(study, node), study.keyring), **changes}
    return documents.sign(payload, receipt.Receipt, kind="receipt", key=study.keys[node])


def check(study, tokens):
    return receipt.check_receipts(tokens, study.keyring, request=study.prepared.digest, definition=study.definition)


def refusal(call, *arguments, **changes):
    with pytest.raises(Refused) as caught:
        call(*arguments, **changes)
    return caught.value.reason, caught.value.field


def test_receipts_that_agree(study):
    receipts = check(study, [write(study, node) for node in NODES])
    assert list(receipts) == NODES
    assert receipts["zurich"]["cpu_seconds"] == "0.123"
    assert receipts["notary"]["outputs"] is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("job", "00000000-0000-4000-8000-000000000000"),
        ("ticket", "00000000-0000-4000-8000-000000000000"),
        ("request", "sha256:" + "0" * 64),
        ("definition", "sha256:" + "0" * 64),
        ("model", "sha256:" + "0" * 64),
        ("design", "sha256:" + "0" * 64),
        ("rank", 0),
    ],
)
def test_one_receipt_about_something_else_spoils_them_all(study, field, value):
    tokens = [write(study, node) for node in NODES if node != "zurich"]
    assert refusal(check, study, [*tokens, altered(study, "zurich", **{field: value})]) == (
        Reason.RECEIPTS_DISAGREE,
        field,
    )


def test_all_agreeing_on_another_request_is_no_agreement(study):
    tokens = [altered(study, node, request="sha256:" + "0" * 64) for node in NODES]
    assert refusal(check, study, tokens) == (Reason.RECEIPTS_DISAGREE, "request")


@pytest.mark.parametrize("said", ["sent", "received"])
def test_who_signs_for_another_conversation_than_the_other_side_spoils_them_all(study, said):
    other = transcripts(NODES, "zurich")
    other["notary"][said] = canonical.digest("something else")
    tokens = [*(write(study, node) for node in NODES if node != "zurich"), write(study, "zurich", transcripts=other)]
    with pytest.raises(Refused, match="zurich and notary") as caught:
        check(study, tokens)
    assert (caught.value.reason, caught.value.field) == (Reason.RECEIPTS_DISAGREE, "transcripts")


def test_nobody_leaves_a_conversation_out(study):
    some = transcripts(["cleveland", "budapest", "zurich"], "zurich")
    tokens = [*(write(study, node) for node in NODES if node != "zurich"), write(study, "zurich", transcripts=some)]
    assert refusal(check, study, tokens) == (Reason.RECEIPTS_DISAGREE, "transcripts")


def test_a_missing_receipt_is_named(study):
    with pytest.raises(Refused, match="notary") as caught:
        check(study, [write(study, node) for node in NODES[:3]])
    assert caught.value.reason is Reason.NODE_SILENT


def test_a_party_does_not_deal(study):
    token = altered(study, "zurich", role="dealer", outputs=None)
    assert refusal(check, study, [*(write(study, node) for node in NODES if node != "zurich"), token]) == (
        Reason.RECEIPTS_DISAGREE,
        "role",
    )


@pytest.mark.parametrize(("node", "outputs"), [("zurich", None), ("notary", OUTPUTS)])
def test_parties_have_outputs_and_the_dealer_has_none(study, node, outputs):
    assert refusal(write, study, node, outputs=outputs) == (Reason.FIELD_INVALID, "outputs")


def test_nobody_writes_anothers_receipt(study):
    token = write(study, "zurich", key=study.keys["budapest"])
    assert refusal(receipt.read_receipt, token, study.keyring)[0] is Reason.KEY_UNKNOWN
