"""HTTP servers on this machine for tests to speak to."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from mayfly.processing.closing import Closing


class Answering(Closing):
    """Answers on a port of its own, or on `port`, as `handler` does, from now until it is closed."""

    def __init__(self, handler: type[BaseHTTPRequestHandler], port: int = 0) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(0.05), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
