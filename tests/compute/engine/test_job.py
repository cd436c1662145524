import uuid

import pytest

from compute.engine.job import common, read_job, split_address
from concordat.canonical import b64
from concordat.reasons import Reason, Refused


@pytest.fixture
def dealer_job():
    return {
        "job": str(uuid.uuid4()),
        "batch": str(uuid.uuid4()),
        "ahead": 0,
        "dealt": None,
        "role": "dealer",
        "rank": 3,
        "parties": 3,
        "peers": [{"address": f"10.0.0.{rank}:40000", "certificate": b64(bytes([rank]))} for rank in range(4)],
        "startup_seconds": 10,
        "round_seconds": 5,
    }


@pytest.fixture
def party_job(dealer_job):
    shares = {
        "kind": "linear",
        "target": "log-odds",
        "clamped": True,
        "tensors": [{"name": "bias", "shape": []}],
        "design": {},
    }
    shares |= {"lowest": [0], "highest": [1], "model": "", "records": [""], "what_ifs": 0}
    return dealer_job | shares | {"role": "party", "rank": 1}


def refusal(document, role, rank):
    with pytest.raises(Refused) as refused:
        read_job(document, role=role, rank=rank)
    return refused.value.reason, refused.value.field


def test_a_whole_job_is_read(party_job, dealer_job):
    assert read_job(party_job, role="party", rank=1) == party_job
    assert read_job(dealer_job, role="dealer", rank=3) == dealer_job


@pytest.mark.parametrize(
    "field",
    [
        "job",
        "batch",
        "ahead",
        "dealt",
        "role",
        "rank",
        "parties",
        "peers",
        "kind",
        "clamped",
        "tensors",
        "design",
        "lowest",
        "model",
        "records",
        "what_ifs",
    ],
)
def test_a_missing_field_is_named(party_job, field):
    del party_job[field]
    assert refusal(party_job, "party", 1) == (Reason.FIELD_MISSING, field)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("job", "not-a-uuid"),
        ("role", "dealer"),
        ("rank", 2),
        ("parties", 1),
        ("batch", "1"),
        ("peers", []),
        ("peers", [{"address": "10.0.0.1:40000", "certificate": "AAAA"}] * 4),
        ("highest", 1),
        ("clamped", 0),
        ("tensors", {}),
        ("startup_seconds", 0),
        ("round_seconds", "5"),
        ("model", None),
    ],
)
def test_a_wrong_field_is_named(party_job, field, value):
    assert refusal(party_job | {field: value}, "party", 1) == (Reason.FIELD_INVALID, field)


def test_a_dealer_takes_no_share(dealer_job):
    assert refusal(dealer_job | {"records": ["AAAA"]}, "dealer", 3) == (Reason.FIELD_UNKNOWN, "records")
    assert refusal(dealer_job | {"records": None}, "dealer", 3) == (Reason.FIELD_UNKNOWN, "records")


@pytest.mark.parametrize(("role", "rank"), [("party", 3), ("dealer", 2), ("dealer", 4)])
def test_the_dealer_has_the_rank_after_the_last_party(party_job, dealer_job, role, rank):
    document = (party_job if role == "party" else dealer_job) | {"rank": rank}
    assert refusal(document, role, rank) == (Reason.FIELD_INVALID, "rank")


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.5", "192.0.2.7"])
def test_an_ipv4_address_is_one(host):
    assert split_address(f"{host}:40000") == (host, 40000)


@pytest.mark.parametrize("host", ["localhost", "cleveland.example", "::1", "", "10.0.0"])
def test_a_name_is_no_address(host):
    with pytest.raises(Refused) as refused:
        split_address(f"{host}:40000")
    assert (refused.value.reason, refused.value.field) == (Reason.FIELD_INVALID, "address")


@pytest.mark.parametrize("port", ["", "0", "65536", "-1", "4e4", "٣"])
def test_a_port_is_a_port(port):
    with pytest.raises(Refused) as refused:
        split_address(f"127.0.0.1:{port}")
    assert refused.value.reason == Reason.FIELD_INVALID


@pytest.mark.parametrize("field", ["job", "batch", "parties", "peers"])
def test_engines_that_are_told_different_things_find_out(dealer_job, field):
    other = dealer_job | {field: "another"}
    assert common(dealer_job) != common(other)
    assert common(dealer_job) == common(dealer_job | {"rank": 0, "role": "party"})
