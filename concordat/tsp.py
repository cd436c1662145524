"""The ASN.1 of time stamps, as far as it is read here: RFC 3161 (Time-Stamp Protocol), RFC 5652 (CMS), RFC 5035 (which
certificate signed), in DER.

What is only passed on is a `TLV`. A `list` under an implicit tag reads a SET OF, or whatever one explicit tag holds,
without asking for its order: authorities write the set of certificates, which nothing signs, in any.
"""

from typing import Annotated

from cryptography.hazmat import asn1
from cryptography.x509 import Certificate, ObjectIdentifier


@asn1.sequence
class Algorithm:
    """AlgorithmIdentifier of a hash."""

    oid: ObjectIdentifier
    parameters: asn1.Null | None


@asn1.sequence
class MessageImprint:
    algorithm: Algorithm
    hashed: bytes


@asn1.sequence
class TimeStampReq:
    """RFC 3161, 2.4.1, without extensions."""

    version: int
    imprint: MessageImprint
    policy: ObjectIdentifier | None
    nonce: int | None
    cert_req: Annotated[bool, asn1.Default(False)]


@asn1.sequence
class Accuracy:
    seconds: int | None
    millis: Annotated[int | None, asn1.Implicit(0)]
    micros: Annotated[int | None, asn1.Implicit(1)]


@asn1.sequence
class TSTInfo:
    """RFC 3161, 2.4.2: what the authority signs."""

    version: int
    policy: ObjectIdentifier
    imprint: MessageImprint
    serial: int
    time: asn1.GeneralizedTime
    accuracy: Accuracy | None
    ordering: Annotated[bool, asn1.Default(False)]
    nonce: int | None
    tsa: Annotated[list[asn1.TLV] | None, asn1.Implicit(0)]
    extensions: Annotated[list[asn1.TLV] | None, asn1.Implicit(1)]


@asn1.sequence
class EncapsulatedContent:
    oid: ObjectIdentifier
    content: Annotated[bytes, asn1.Explicit(0)]


@asn1.sequence
class Attribute:
    oid: ObjectIdentifier
    values: asn1.SetOf[asn1.TLV]


@asn1.sequence
class IssuerAndSerial:
    issuer: asn1.TLV
    serial: int


@asn1.sequence
class SignerInfo:
    version: int
    signer: IssuerAndSerial
    digest: asn1.TLV
    signed: Annotated[asn1.SetOf[Attribute] | None, asn1.Implicit(0)]
    algorithm: asn1.TLV
    signature: bytes
    unsigned: Annotated[list[asn1.TLV] | None, asn1.Implicit(1)]


@asn1.sequence
class SignedData:
    version: int
    digests: asn1.SetOf[asn1.TLV]
    encapsulated: EncapsulatedContent
    certificates: Annotated[list[Certificate] | None, asn1.Implicit(0)]
    crls: Annotated[list[asn1.TLV] | None, asn1.Implicit(1)]
    signers: asn1.SetOf[SignerInfo]


@asn1.sequence
class TimeStampToken:
    oid: ObjectIdentifier
    content: Annotated[SignedData, asn1.Explicit(0)]


@asn1.sequence
class StatusInfo:
    """PKIStatusInfo; 0 is granted."""

    status: int
    text: list[str] | None
    failure: asn1.BitString | None


@asn1.sequence
class TimeStampResp:
    """RFC 3161, 2.4.2."""

    status: StatusInfo
    token: TimeStampToken | None


@asn1.sequence
class ESSCertID:
    """RFC 5035, 5.4.1; the hash is SHA-1."""

    hashed: bytes
    issuer: list[asn1.TLV] | None


@asn1.sequence
class SigningCertificate:
    certificates: list[ESSCertID]
    policies: list[asn1.TLV] | None


@asn1.sequence
class ESSCertIDv2:
    """RFC 5035, 4; without an algorithm the hash is SHA-256."""

    algorithm: Algorithm | None
    hashed: bytes
    issuer: list[asn1.TLV] | None


@asn1.sequence
class SigningCertificateV2:
    certificates: list[ESSCertIDv2]
    policies: list[asn1.TLV] | None
