"""A real HTTPS server for one test, which notes what it was sent and answers what it is told to."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    headers: dict[str, str]
    content: bytes


@dataclass
class Said:
    status: int = 200
    content: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class HttpsServer:
    """`says` makes the answer to each request; `received` are all of them."""

    port: int
    received: list[Received] = field(default_factory=list)
    says: Callable[[Received], Said] = lambda _: Said()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"


@contextmanager
def https_server(certificates: Path) -> Iterator[HttpsServer]:
    """Serving with `server.pem` and `server.key` of `tests.support.certificates`, until the context is left."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Received(self.command, self.path, headers, content)
            made.received.append(request)
            said = made.says(request)
            self.send_response(said.status)
            for name, value in {"Content-Length": str(len(said.content)), **said.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said.content)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # whoever hangs up is no error here
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        made = HttpsServer(server.server_address[1])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield made
        finally:
            server.shutdown()
