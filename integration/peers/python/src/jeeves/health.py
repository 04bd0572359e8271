"""Health checks on a port of their own, for roles that serve nothing or something else. They are not traced."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def serve_health(host: str, port: int, ready: Callable[[], bool]) -> None:
    """Answers GET /healthz and /readyz in a thread that ends with the process."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self) -> None:
            match self.path:
                case "/healthz":
                    self._answer(200, "ok")
                case "/readyz":
                    if ready():
                        self._answer(200, "ok")
                    else:
                        self._answer(503, "not ready")
                case _:
                    self._answer(404, "no such page")

        def _answer(self, code: int, status: str) -> None:
            body = json.dumps({"status": status}).encode()
            self.send_response(code)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, fmt: str, *args: object) -> None:
            """Checks come every few seconds: they are not worth a line."""

    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except OSError as error:
        # Python's own words leave out which address it was.
        raise OSError(error.errno, f"health checks on {host}:{port}: {error.strerror}") from error
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
