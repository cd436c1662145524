"""Time stamps of a time-stamping authority (RFC 3161, RFC 5816) over the log's signed heads.

A token says that the authority had seen the hash of these bytes at a time on *its* clock; so they existed by then. It
says nothing about how much earlier. CMS signature and certificate chain are verified by OpenSSL, through
rfc3161-client; what RFC 3161 and RFC 5035 ask for beside that is checked here. Revocation is not looked up.
"""

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import (
    Certificate,
    DuplicateExtension,
    ExtendedKeyUsage,
    ExtensionNotFound,
    InvalidVersion,
    NameOID,
    ObjectIdentifier,
    UnsupportedGeneralNameType,
    load_pem_x509_certificates,
)
from cryptography.x509.oid import ExtendedKeyUsageOID
from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response

from concordat import tsp
from concordat.reasons import Reason, Refused

MEDIA_QUERY, MEDIA_REPLY = "application/timestamp-query", "application/timestamp-reply"

LARGEST = 64 * 1024
"""Bytes of an answer at most; with the authority's certificates real ones have some thousands."""

_SHA256 = ObjectIdentifier("2.16.840.1.101.3.4.2.1")
_HASHES = {
    "1.3.14.3.2.26": hashlib.sha1,
    _SHA256.dotted_string: hashlib.sha256,
    "2.16.840.1.101.3.4.2.2": hashlib.sha384,
    "2.16.840.1.101.3.4.2.3": hashlib.sha512,
}
_SIGNED_DATA, _TST_INFO = ObjectIdentifier("1.2.840.113549.1.7.2"), ObjectIdentifier("1.2.840.113549.1.9.16.1.4")
_SIGNING_CERTIFICATE = ObjectIdentifier("1.2.840.113549.1.9.16.2.12")
_SIGNING_CERTIFICATE_V2 = ObjectIdentifier("1.2.840.113549.1.9.16.2.47")
_R = Reason


@dataclass(frozen=True)
class Query:
    """A question to an authority: the request's DER bytes, and the nonce that the answer has to repeat."""

    der: bytes
    nonce: int


@dataclass(frozen=True)
class Stamp:
    """What a token says. `time` is genTime, which is right within `accuracy`; `authority` the name in the certificate
    that signed, `policy` an OID."""

    time: datetime
    accuracy: timedelta
    authority: str
    policy: str
    serial: int

    @property
    def latest(self) -> datetime:
        """The bytes existed at this time at the latest: genTime and its accuracy, rounded up to a whole second."""
        latest = self.time + self.accuracy
        whole = latest.replace(microsecond=0)
        return whole if whole == latest else whole + timedelta(seconds=1)


def query(data: bytes, *, policy: str | None = None) -> Query:
    """Ask for a stamp over the SHA-256 of `data`, with the authority's certificate in the answer and a fresh 63-bit
    nonce. Raises Refused(FIELD_INVALID) if `policy` is no OID."""
    nonce = secrets.randbits(63)
    asked = tsp.TimeStampReq(
        version=1, imprint=_imprint(data), policy=_oid(policy) if policy else None, nonce=nonce, cert_req=True
    )
    return Query(asn1.encode_der(asked), nonce)


def read_roots(pem: bytes) -> tuple[Certificate, ...]:
    """The certificates in a PEM file, at least one of which is self-signed: the authority's root. Others help to build
    the chain and are not trusted by themselves. Raises Refused(FIELD_INVALID)."""
    try:
        found = tuple(load_pem_x509_certificates(pem))
    except ValueError as error:
        detail = "The authority's root is given as certificates in PEM form."
        raise Refused(_R.FIELD_INVALID, detail=detail, field="tsa") from error
    if not any(each.issuer == each.subject for each in found):
        detail = "None of the authority's certificates is a root; give the self-signed one."
        raise Refused(_R.FIELD_INVALID, detail=detail, field="tsa")
    return found


def read(answer: bytes, data: bytes) -> Stamp:
    """What a TimeStampResp over `data` says, with nothing but that verified: anybody can write one.

    Raises Refused: TIMESTAMP_REFUSED if the authority granted none; TIMESTAMP_MALFORMED; TIMESTAMP_MISMATCH if it is
    over something else.
    """
    with _well_formed():
        return _Token(answer).over(data)


def verify(
    answer: bytes,
    data: bytes,
    *,
    roots: Sequence[Certificate],
    policy: str | None = None,
    nonce: int | None = None,
) -> Stamp:
    """What a TimeStampResp over `data` says, signed by an authority under one of `roots` (of `read_roots`).

    Args:
        policy: the OID of the only policy that will do.
        nonce: of the query that this must be the answer to.

    Raises:
        Refused: as `read`; TIMESTAMP_REPLAYED for another nonce; TIMESTAMP_POLICY_WRONG;
            TIMESTAMP_AUTHORITY_UNFIT if the certificate is not for time stamps alone, or was not valid at that time;
            TIMESTAMP_AUTHORITY_UNTRUSTED if it does not lead to a root; TIMESTAMP_SIGNATURE_INVALID.
    """
    with _well_formed():
        token = _Token(answer)
        stamp = token.over(data)
        if nonce is not None and token.info.nonce != nonce:
            raise Refused(_R.TIMESTAMP_REPLAYED)
        if policy is not None and token.info.policy != _oid(policy):
            raise Refused(_R.TIMESTAMP_POLICY_WRONG, detail=f"The stamp is under policy {stamp.policy}, not {policy}.")
        _check_fit(token.certificate, stamp.time)
        token.check_names_its_certificate()
        token.check_signed(data, roots)
        return stamp


class _Token:
    """A granted answer, taken apart. Raises Refused: TIMESTAMP_REFUSED, TIMESTAMP_MALFORMED."""

    def __init__(self, answer: bytes) -> None:
        if len(answer) > LARGEST:
            raise _malformed("It is too large.")
        self._response = asn1.decode_der(tsp.TimeStampResp, answer)
        if self._response.status.status != 0:
            raise Refused(_R.TIMESTAMP_REFUSED, detail=f"It answered with status {self._response.status.status}.")
        token = self._response.token
        if token is None or token.oid != _SIGNED_DATA or token.content.encapsulated.oid != _TST_INFO:
            raise _malformed("It holds no token.")
        self._content = token.content
        self.info = asn1.decode_der(tsp.TSTInfo, self._content.encapsulated.content)
        if self.info.version != 1 or len(signers := self._content.signers.as_list()) != 1:
            raise _malformed("It has another version, or not exactly one signer.")
        self._signer = signers[0]
        self.certificate = self._certificate()

    def _certificate(self) -> Certificate:
        named = self._signer.signer
        issuer = asn1.encode_der(named.issuer)
        found = [
            each
            for each in self._content.certificates or ()
            if named.serial == each.serial_number and issuer == each.issuer.public_bytes()
        ]
        if len(found) != 1:  # of two, OpenSSL might verify the one, and we judge and name the other
            raise _malformed("It does not hold the certificate of its signer, or holds several of one number.")
        return found[0]

    def over(self, data: bytes) -> Stamp:
        """What it says, if it is over `data`'s SHA-256. Raises Refused: TIMESTAMP_MISMATCH, TIMESTAMP_MALFORMED."""
        imprint = self.info.imprint
        if imprint.algorithm.oid != _SHA256 or imprint.hashed != hashlib.sha256(data).digest():
            raise Refused(_R.TIMESTAMP_MISMATCH)
        given = self.info.accuracy or tsp.Accuracy(seconds=None, millis=None, micros=None)
        accuracy = timedelta(seconds=given.seconds or 0, milliseconds=given.millis or 0, microseconds=given.micros or 0)
        time = self.info.time.as_datetime().replace(tzinfo=UTC)
        stamp = Stamp(time, accuracy, _name(self.certificate), self.info.policy.dotted_string, self.info.serial)
        if stamp.latest < time:
            raise _malformed("Its accuracy is negative.")
        return stamp

    def check_names_its_certificate(self) -> None:
        """The signed attributes name the certificate that signed (RFC 5035), so that no other with the same key can be
        put in its place. Raises Refused: TIMESTAMP_SIGNATURE_INVALID, TIMESTAMP_MALFORMED."""
        der, named = self.certificate.public_bytes(Encoding.DER), 0
        for attribute in self._signer.signed.as_list() if self._signer.signed else ():
            for value in attribute.values.as_list():
                if attribute.oid in (_SIGNING_CERTIFICATE, _SIGNING_CERTIFICATE_V2):
                    algorithm, hashed = _named(value, attribute.oid)
                    if algorithm not in _HASHES or _HASHES[algorithm](der).digest() != hashed:
                        raise Refused(_R.TIMESTAMP_SIGNATURE_INVALID, detail="The signature names another certificate.")
                    named += 1
        if not named:
            raise Refused(_R.TIMESTAMP_SIGNATURE_INVALID, detail="The signature names no certificate.")

    def check_signed(self, data: bytes, roots: Sequence[Certificate]) -> None:
        """Raises Refused: TIMESTAMP_AUTHORITY_UNTRUSTED, TIMESTAMP_SIGNATURE_INVALID, TIMESTAMP_MALFORMED."""
        # rfc3161-client reads a set only in the order that DER wants. Nothing signs this one, and OpenSSL's own
        # authority does not order it.
        by_der = sorted(self._content.certificates or (), key=lambda each: each.public_bytes(Encoding.DER))
        self._content.certificates = by_der
        decoded = decode_timestamp_response(asn1.encode_der(self._response))
        try:
            VerifierBuilder(roots=list(roots)).build().verify_message(decoded, data)
        except VerificationError as error:
            # OpenSSL looks at the chain first, and names it.
            untrusted = "certificate verify error" in str(error)
            reason = _R.TIMESTAMP_AUTHORITY_UNTRUSTED if untrusted else _R.TIMESTAMP_SIGNATURE_INVALID
            raise Refused(reason) from error


_UNREADABLE = (
    ValueError,
    OverflowError,
    IndexError,
    InvalidVersion,
    DuplicateExtension,
    UnsupportedAlgorithm,
    UnsupportedGeneralNameType,
)


@contextmanager
def _well_formed() -> Iterator[None]:
    """What the libraries raise over bytes that are no time stamp, some of it only when a certificate's part is read."""
    try:
        yield
    except _UNREADABLE as error:
        raise _malformed("It is not in the form of RFC 3161.") from error


def _check_fit(certificate: Certificate, time: datetime) -> None:
    try:
        usage = certificate.extensions.get_extension_for_class(ExtendedKeyUsage)
    except ExtensionNotFound:
        usage = None
    if usage is None or not usage.critical or list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        raise Refused(_R.TIMESTAMP_AUTHORITY_UNFIT, detail="The certificate that signed is not for time stamps alone.")
    if not certificate.not_valid_before_utc <= time <= certificate.not_valid_after_utc:
        raise Refused(
            _R.TIMESTAMP_AUTHORITY_UNFIT, detail="The certificate that signed was not valid at the time of the stamp."
        )


def _named(value: asn1.TLV, kind: ObjectIdentifier) -> tuple[str, bytes]:
    """The hash algorithm's OID and the hash of the certificate that an attribute names first."""
    if kind == _SIGNING_CERTIFICATE:
        return "1.3.14.3.2.26", value.parse(tsp.SigningCertificate).certificates[0].hashed
    first = value.parse(tsp.SigningCertificateV2).certificates[0]
    return (first.algorithm.oid if first.algorithm else _SHA256).dotted_string, first.hashed


def _name(certificate: Certificate) -> str:
    """The common name, or the whole name of one that has none, on one line."""
    named = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    text = str(named[0].value) if named else certificate.subject.rfc4514_string()
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:200]


def _imprint(data: bytes) -> tsp.MessageImprint:
    algorithm = tsp.Algorithm(oid=_SHA256, parameters=asn1.Null())
    return tsp.MessageImprint(algorithm=algorithm, hashed=hashlib.sha256(data).digest())


def _oid(text: str) -> ObjectIdentifier:
    try:
        return ObjectIdentifier(text)
    except ValueError as error:
        detail = "A time-stamping policy is an object identifier, such as 1.3.6.1.4.1.13762.3."
        raise Refused(_R.FIELD_INVALID, detail=detail, field="policy") from error


def _malformed(detail: str) -> Refused:
    return Refused(_R.TIMESTAMP_MALFORMED, detail=f"The authority's answer is no time stamp. {detail}")
