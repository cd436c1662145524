"""JSON-RPC 2.0 over HTTP, on the loopback address and nowhere else."""

import json
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ledger.chain.devchain.rpc import Rpc, RpcError

LOOPBACK = "127.0.0.1"
LARGEST_REQUEST = 2 * 1024 * 1024


class Server(ThreadingHTTPServer):
    """Serves `rpc` on `LOOPBACK`; port 0 takes any free one."""

    daemon_threads = True

    def __init__(self, rpc: Rpc, port: int) -> None:
        self.rpc = rpc
        super().__init__((LOOPBACK, port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    wbufsize = -1  # an answer is one segment: in two, the client's delayed acknowledgement costs 40 ms
    server: Server

    def do_POST(self) -> None:
        # A web page can only send this content type after a CORS preflight, which is never answered here.
        if self.headers.get_content_type() != "application/json":
            return self._send(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, b"")
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > LARGEST_REQUEST:
            self.close_connection = True
            return self._send(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"")
        try:
            question = json.loads(self.rfile.read(int(length)))
        except ValueError:
            return self._answer(_error(None, RpcError(-32700, "the request is no JSON")))
        if isinstance(question, list):
            return self._answer([self._one(item) for item in question])
        return self._answer(self._one(question))

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: requests are the business of whoever sends them."""

    def _one(self, question: Any) -> dict[str, Any]:
        if not isinstance(question, dict):
            return _error(None, RpcError(-32600, "a request is an object"))
        identifier = question.get("id")
        try:
            result = self.server.rpc.answer(question.get("method"), question.get("params", []))
        except RpcError as error:
            return _error(identifier, error)
        return {"jsonrpc": "2.0", "id": identifier, "result": result}

    def _answer(self, document: object) -> None:
        self._send(HTTPStatus.OK, json.dumps(document).encode())

    def _send(self, status: HTTPStatus, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _error(identifier: object, error: RpcError) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": identifier, "error": error.document()}
