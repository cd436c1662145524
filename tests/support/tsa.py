"""Time-stamping authorities of `openssl ts`: an implementation that is not the one under test. Each has its own root.

OpenSSL is in Debian's base system; without it these tests are skipped, which CONCORDAT_REQUIRE=all turns into failures.
"""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

POLICY, OTHER_POLICY = "1.2.3.4.1", "1.2.3.4.2"

_CONFIGURATION = """
[tsa]
default_tsa = test
[test]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
certs = {folder}/root.pem
signer_digest = sha256
default_policy = {policy}
other_policies = {other}
digests = sha256, sha512
accuracy = secs:1, millisecs:500
clock_precision_digits = {digits}
ess_cert_id_chain = no
ess_cert_id_alg = {ess}
"""


@dataclass
class Authority:
    """Makes answers in a folder: `usages` of its certificate, and its validity in days from now."""

    folder: Path
    name: str = "Example Time-Stamping Authority"
    usages: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.TIME_STAMPING,)
    critical: bool = True
    valid: tuple[float, float] = (-1, 30)
    ess: str = "sha256"
    digits: int = 0
    root: bytes = field(init=False)
    _serial: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not in the path")
        self.folder.mkdir(parents=True)
        root, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        anchor = self._certificate("Example Root", root.public_key(), (-2, 60))
        anchor = anchor.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        certificate = self._certificate(self.name, own.public_key(), self.valid)
        if self.usages:
            certificate = certificate.add_extension(x509.ExtendedKeyUsage(self.usages), critical=self.critical)
        self.root = anchor.sign(root, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        signed = certificate.sign(root, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        files = {
            "root.pem": self.root,
            "tsa.pem": signed,
            "tsa.key": own.private_bytes(serialization.Encoding.PEM, *plain),
            "serial": b"01\n",
            "tsa.cnf": _CONFIGURATION.format(
                folder=self.folder, policy=POLICY, other=OTHER_POLICY, ess=self.ess, digits=self.digits
            ).encode(),
        }
        for name, content in files.items():
            (self.folder / name).write_bytes(content)

    def _certificate(
        self, name: str, key: ec.EllipticCurvePublicKey, valid: tuple[float, float]
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Example Root")]))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=valid[0]))
            .not_valid_after(now + timedelta(days=valid[1]))
        )

    def answer(self, query: bytes) -> bytes:
        """The TimeStampResp to a TimeStampReq."""
        with self._serial:
            (self.folder / "query.tsq").write_bytes(query)
            command = "openssl ts -reply -config tsa.cnf -section test -queryfile query.tsq -out reply.tsr"
            subprocess.run(command.split(), cwd=self.folder, check=True, capture_output=True, timeout=30)
            return (self.folder / "reply.tsr").read_bytes()

    def verifies(self, answer: bytes, data: bytes) -> bool:
        """What `openssl ts -verify` says of an answer over `data`."""
        (self.folder / "answer.tsr").write_bytes(answer)
        (self.folder / "data").write_bytes(data)
        command = "openssl ts -verify -in answer.tsr -data data -CAfile root.pem"
        return subprocess.run(command.split(), cwd=self.folder, capture_output=True, timeout=30).returncode == 0


@dataclass
class Server:
    """An authority behind HTTP. `says` can put something else in the place of its answers."""

    authority: Authority
    url: str = ""
    status: int = 200
    asked: list[bytes] = field(default_factory=list)

    def says(self, query: bytes) -> bytes:
        return self.authority.answer(query)


@contextmanager
def serving(authority: Authority) -> Iterator[Server]:
    server = Server(authority)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            server.asked.append(query)
            assert self.headers["Content-Type"] == "application/timestamp-query"
            body = server.says(query)
            self.send_response(server.status)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_port}/tsr"
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join(10)
