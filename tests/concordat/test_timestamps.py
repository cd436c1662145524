"""Time stamps of a real authority (OpenSSL's) verify; what is changed, foreign or unfit is refused for its reason."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import (
    CertificateBuilder,
    ExtendedKeyUsage,
    Name,
    NameAttribute,
    ObjectIdentifier,
    load_pem_x509_certificate,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from rfc3161_client._rust import parse_timestamp_request

from concordat import timestamps, tsp
from concordat.reasons import Reason, Refused
from tests.support.tsa import OTHER_POLICY, POLICY, Authority

NOTE = b"localhost/concordat\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\xe2\x80\x94 x y\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tsa") / "one")


@pytest.fixture(scope="module")
def asked():
    return timestamps.query(NOTE)


@pytest.fixture(scope="module")
def answer(authority, asked):
    return authority.answer(asked.der)


def verify(authority, answer, data=NOTE, **options):
    return timestamps.verify(answer, data, roots=timestamps.read_roots(authority.root), **options)


def refusal(*arguments, **options):
    with pytest.raises(Refused) as caught:
        verify(*arguments, **options)
    return caught.value.reason


def stamped(folder, **options):
    made = Authority(folder / "tsa", **options)
    return made, made.answer(timestamps.query(NOTE).der)


def changed(answer, **fields):
    """The answer with other values in what is signed, as only a forger would write them."""
    response = asn1.decode_der(tsp.TimeStampResp, answer)
    encapsulated = response.token.content.encapsulated
    info = asn1.decode_der(tsp.TSTInfo, encapsulated.content)
    for name, value in fields.items():
        setattr(info, name, value)
    encapsulated.content = asn1.encode_der(info)
    return asn1.encode_der(response)


def with_signer(answer, change):
    response = asn1.decode_der(tsp.TimeStampResp, answer)
    (signer,) = response.token.content.signers.as_list()
    change(signer)
    response.token.content.signers = asn1.SetOf([signer])
    return asn1.encode_der(response)


def test_a_query_is_one_that_another_implementation_reads(asked):
    read = parse_timestamp_request(asked.der)
    assert (read.version, read.cert_req, read.nonce) == (1, True, asked.nonce)
    assert read.message_imprint.message == timestamps.hashlib.sha256(NOTE).digest()
    assert read.policy is None
    named = timestamps.query(NOTE, policy=OTHER_POLICY)
    assert parse_timestamp_request(named.der).policy.dotted_string == OTHER_POLICY
    assert named.nonce != asked.nonce


def test_a_genuine_stamp_says_by_when_and_by_whom(authority, asked, answer):
    stamp = verify(authority, answer, nonce=asked.nonce, policy=POLICY)
    assert authority.verifies(answer, NOTE)
    assert abs(stamp.time - datetime.now(UTC)) < timedelta(minutes=1)
    assert stamp.accuracy == timedelta(seconds=1.5)
    assert stamp.latest == stamp.time + timedelta(seconds=2)
    assert (stamp.authority, stamp.policy) == ("Example Time-Stamping Authority", POLICY)
    assert timestamps.read(answer, NOTE) == stamp


def test_fractions_of_a_second_round_up(tmp_path):
    authority = Authority(tmp_path / "tsa", digits=6)
    for _ in range(3):
        stamp = verify(authority, authority.answer(timestamps.query(NOTE).der))
        if stamp.time.microsecond:
            break
    assert stamp.time.microsecond
    assert stamp.latest.microsecond == 0
    assert timedelta(0) <= stamp.latest - stamp.time - stamp.accuracy < timedelta(seconds=1)


def test_the_older_way_to_name_the_certificate_will_do(tmp_path):
    made, answer = stamped(tmp_path, ess="sha1")
    assert verify(made, answer).authority == made.name


def test_a_stamp_is_over_these_bytes_alone(authority, answer):
    assert refusal(authority, answer, NOTE + b"\n") is Reason.TIMESTAMP_MISMATCH
    with pytest.raises(Refused) as caught:
        timestamps.read(answer, b"")
    assert caught.value.reason is Reason.TIMESTAMP_MISMATCH


def test_the_answer_to_another_question_is_a_replay(authority, answer):
    assert refusal(authority, answer, nonce=timestamps.query(NOTE).nonce) is Reason.TIMESTAMP_REPLAYED
    assert refusal(authority, changed(answer, nonce=None), nonce=1) is Reason.TIMESTAMP_REPLAYED


def test_a_pinned_policy_is_the_only_one(authority, answer):
    assert refusal(authority, answer, policy=OTHER_POLICY) is Reason.TIMESTAMP_POLICY_WRONG
    other = authority.answer(timestamps.query(NOTE, policy=OTHER_POLICY).der)
    assert verify(authority, other, policy=OTHER_POLICY).policy == OTHER_POLICY


@pytest.mark.parametrize(
    "fields",
    [
        {"serial": 77},
        {"time": asn1.GeneralizedTime(datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3))},
        {"accuracy": None},
        {"nonce": 5},
        {"policy": ObjectIdentifier(OTHER_POLICY)},
        {"ordering": True},
        {"tsa": None, "extensions": None, "nonce": None},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_nothing_that_is_signed_can_be_changed(authority, answer, fields):
    assert refusal(authority, changed(answer, **fields)) is Reason.TIMESTAMP_SIGNATURE_INVALID


def test_an_imprint_of_other_bytes_needs_another_signature(authority, answer):
    forged = changed(answer, imprint=timestamps._imprint(b"other"))
    assert refusal(authority, forged, b"other") is Reason.TIMESTAMP_SIGNATURE_INVALID


def test_another_hash_than_sha_256_is_not_accepted(authority, answer):
    imprint = tsp.MessageImprint(
        algorithm=tsp.Algorithm(oid=ObjectIdentifier("1.3.14.3.2.26"), parameters=None),
        hashed=timestamps._imprint(NOTE).hashed,
    )
    assert refusal(authority, changed(answer, imprint=imprint)) is Reason.TIMESTAMP_MISMATCH


def test_the_signature_must_name_its_certificate(authority, answer):
    def unnamed(signer):
        kept = [each for each in signer.signed.as_list() if "16.2" not in each.oid.dotted_string]
        signer.signed = asn1.SetOf(kept)

    assert refusal(authority, with_signer(answer, unnamed)) is Reason.TIMESTAMP_SIGNATURE_INVALID

    def without_attributes(signer):
        signer.signed = None

    assert refusal(authority, with_signer(answer, without_attributes)) is Reason.TIMESTAMP_SIGNATURE_INVALID


def test_a_certificate_of_the_same_key_does_not_take_the_named_one_s_place(tmp_path):
    """The very attack that RFC 5035 is against: the same name, number and key, another certificate."""
    made, answer = stamped(tmp_path)
    response = asn1.decode_der(tsp.TimeStampResp, answer)
    certificate = timestamps._Token(answer).certificate

    key = load_pem_private_key((made.folder / "tsa.key").read_bytes(), None)
    other = (
        CertificateBuilder(certificate.issuer, certificate.subject, key.public_key(), certificate.serial_number)
        .not_valid_before(certificate.not_valid_before_utc)
        .not_valid_after(certificate.not_valid_after_utc + timedelta(days=999))
        .add_extension(ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        .sign(key, hashes.SHA256())
    )
    response.token.content.certificates = [other]
    assert refusal(made, asn1.encode_der(response)) is Reason.TIMESTAMP_SIGNATURE_INVALID


def test_of_two_certificates_with_the_signers_number_neither_is_judged(tmp_path):
    """The authority's own would be verified, and the other one's name said."""
    made = Authority(tmp_path / "tsa")
    own = load_pem_x509_certificate((made.folder / "tsa.pem").read_bytes())
    other = (
        CertificateBuilder(own.issuer, Name([NameAttribute(NameOID.COMMON_NAME, "A better name, " + 40 * "x")]))
        .public_key(own.public_key())
        .serial_number(own.serial_number)
        .not_valid_before(own.not_valid_before_utc)
        .not_valid_after(own.not_valid_after_utc)
        .add_extension(ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    (made.folder / "tsa.pem").write_bytes(other.public_bytes(Encoding.PEM))
    query = timestamps.query(NOTE)
    response = asn1.decode_der(tsp.TimeStampResp, made.answer(query.der))
    response.token.content.certificates = [other, own]
    assert refusal(made, asn1.encode_der(response)) is Reason.TIMESTAMP_MALFORMED


def test_another_authority_is_not_trusted(authority, answer, tmp_path):
    other, others = stamped(tmp_path)
    assert refusal(authority, others) is Reason.TIMESTAMP_AUTHORITY_UNTRUSTED
    assert refusal(other, answer) is Reason.TIMESTAMP_AUTHORITY_UNTRUSTED


@pytest.mark.parametrize(
    "options",
    [
        {"usages": ()},
        {"usages": (ExtendedKeyUsageOID.CODE_SIGNING,)},
        {"usages": (ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CODE_SIGNING)},
        {"critical": False},
    ],
    ids=["none", "another", "one more", "not critical"],
)
def test_a_certificate_for_anything_else_is_unfit(authority, asked, options, tmp_path):
    """OpenSSL's authority refuses to sign with such a one: it is put into a genuine answer."""
    unfit = Authority(tmp_path / "tsa", **options)
    response = asn1.decode_der(tsp.TimeStampResp, authority.answer(asked.der))
    certificate = timestamps.load_pem_x509_certificates((unfit.folder / "tsa.pem").read_bytes())[0]
    response.token.content.certificates = [certificate]
    (signer,) = response.token.content.signers.as_list()
    signer.signer.serial = certificate.serial_number
    response.token.content.signers = asn1.SetOf([signer])
    assert refusal(unfit, asn1.encode_der(response)) is Reason.TIMESTAMP_AUTHORITY_UNFIT


@pytest.mark.parametrize("valid", [(-1.5, -0.5), (1, 2)], ids=["expired", "not yet"])
def test_the_certificate_was_valid_at_the_time_of_the_stamp(tmp_path, valid):
    made, answer = stamped(tmp_path, valid=valid)
    assert refusal(made, answer) is Reason.TIMESTAMP_AUTHORITY_UNFIT


def test_a_refused_question_is_no_stamp(authority):
    answer = authority.answer(timestamps.query(NOTE, policy="1.9.9").der)
    assert refusal(authority, answer) is Reason.TIMESTAMP_REFUSED


def test_what_is_no_answer_is_malformed(authority, answer):
    for wrong in (b"", b"<html>", answer[:-1], answer + b"\0", b"0" * (timestamps.LARGEST + 1)):
        assert refusal(authority, wrong) is Reason.TIMESTAMP_MALFORMED


def test_any_bit_of_what_is_signed_counts_and_no_input_ends_in_anything_but_a_refusal(authority, answer):
    """The certificates beside the signer's are signed by nobody, and of no use here: the reader brings the root."""
    genuine, chance, other = verify(authority, answer), random.Random(3161), 0
    for place in range(len(answer)):
        flipped = bytearray(answer)
        flipped[place] ^= 1 << chance.randrange(8)
        try:
            assert verify(authority, bytes(flipped)) == genuine
        except Refused:
            other += 1
    assert other > len(answer) / 2


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_random_bytes_are_refused(data):
    with pytest.raises(Refused):
        timestamps.read(data, NOTE)


@pytest.mark.parametrize("wrong", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", None])
def test_a_root_is_a_self_signed_certificate(authority, wrong):
    pem = (authority.folder / "tsa.pem").read_bytes() if wrong is None else wrong
    with pytest.raises(Refused) as caught:
        timestamps.read_roots(pem)
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, "tsa")


def test_a_policy_is_an_object_identifier():
    with pytest.raises(Refused) as caught:
        timestamps.query(NOTE, policy="the usual")
    assert caught.value.field == "policy"
