"""Ephemeral certificates: each engine makes one for itself, and believes exactly those that its job names.

There is no authority to trust and no name to check. A certificate travels in its node's signed acceptance, which binds
it to institution, rank, ticket and job; whoever cannot show that very certificate is nobody.
"""

import datetime
import secrets
import ssl
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from cryptography.x509.oid import NameOID

from concordat.reasons import Reason, Refused

LIFETIME = datetime.timedelta(days=2)
"""An engine waits for its job for hours at most; clocks may differ by hours."""


@dataclass(frozen=True, repr=False)
class Identity:
    """One engine's certificate (DER), and TLS 1.3 in both directions with it, which trusts nobody yet.

    `server` admits, and `client` reaches, whoever shows a certificate that was trusted: whose it is, the caller
    compares.
    """

    certificate: bytes
    server: ssl.SSLContext
    client: ssl.SSLContext

    @classmethod
    def create(cls) -> "Identity":
        """With a new key, which the two contexts alone hold."""
        key = Ed25519PrivateKey.generate()
        # OpenSSL looks trusted certificates up by name: no two are called the same.
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, secrets.token_hex(16))])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - LIFETIME)
            .not_valid_after(now + LIFETIME)
            .sign(key, None)
        )
        server, client = _context(ssl.PROTOCOL_TLS_SERVER), _context(ssl.PROTOCOL_TLS_CLIENT)
        server.num_tickets = 0  # nobody comes back
        password = secrets.token_bytes(32)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password))
        with tempfile.NamedTemporaryFile() as file:  # ssl reads keys from files only: encrypted, for a moment
            file.write(pem + certificate.public_bytes(Encoding.PEM))
            file.flush()
            for context in (server, client):
                context.load_cert_chain(file.name, password=password)
        return cls(certificate.public_bytes(Encoding.DER), server, client)

    def trust(self, certificates: Iterable[bytes]) -> None:
        """Believe these, too. Raises Refused(FIELD_INVALID) for bytes that are no certificate."""
        for certificate in certificates:
            try:
                for context in (self.server, self.client):
                    context.load_verify_locations(cadata=certificate)
            except (ssl.SSLError, ValueError):
                raise Refused(Reason.FIELD_INVALID, detail="This is no certificate.", field="peers") from None


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # the certificate itself is what is pinned
    context.verify_mode = ssl.CERT_REQUIRED
    return context
