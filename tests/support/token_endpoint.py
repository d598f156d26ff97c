"""Who hands out tokens to clients that show an id and a secret: OAuth's client credentials over TLS, signed RS256."""

import base64
import contextlib
import json
import ssl
import threading
import time
import urllib.parse
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from support.certificate import write_certificate

HOST = "127.0.0.1"
ISSUER = "https://tokens.example.org"
AUDIENCE = "kafka"
CLIENT = "photos-client"
SECRET = "s3cret/with+signs="
SCOPE = "images"
LIFE_SECONDS = 600
_MOST_BYTES = 65_536


class TokenEndpoint:
    """`certificate` is what its clients trust; `keys` is the file of the keys that whoever is shown a token trusts.

    Its tokens are for the client's id as `sub`. Refused requests are answered as the standard says, with what was
    sent quoted: there are servers that do so.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # Of another name than a broker: who trusts both in one file tells them apart by it.
        self.certificate, key_file = write_certificate(folder, "tokens.example.org")
        self._key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        self._kid = uuid.uuid4().hex
        self.keys = folder / "keys.json"
        self.keys.write_text(json.dumps({"keys": [self._public()]}))
        self.asked: list[str] = []
        """The scopes of those who got a token."""
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = self.rfile.read(min(int(self.headers.get("content-length") or 0), _MOST_BYTES)).decode()
                status, told = endpoint._answer(self.headers.get("authorization") or "", sent)
                body = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key_file)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://{HOST}:{self._server.server_address[1]}/token"

    def _answer(self, authorization: str, sent: str) -> tuple[int, dict[str, Any]]:
        """https://www.rfc-editor.org/rfc/rfc6749#section-4.4"""
        form = urllib.parse.parse_qs(sent)
        given = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        good = {f"{CLIENT}:{SECRET}", f"{CLIENT}:{urllib.parse.quote(SECRET, safe='')}"}
        if form.get("grant_type") != ["client_credentials"]:
            return 400, {"error": "unsupported_grant_type"}
        if given not in good:
            return 401, {"error": "invalid_client", "error_description": f"{given} {authorization} {sent}"}
        scope = " ".join(form.get("scope", []))
        self.asked.append(scope)
        return 200, {"access_token": self.token(scope), "token_type": "Bearer", "expires_in": LIFE_SECONDS}

    def token(self, scope: str = "") -> str:
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": CLIENT, "scope": scope, "iat": now, "exp": now + LIFE_SECONDS}
        parts = [{"alg": "RS256", "typ": "JWT", "kid": self._kid}, claims]
        signed = ".".join(_plain(json.dumps(part).encode()) for part in parts)
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_plain(signature)}"

    def _public(self) -> dict[str, str]:
        """https://www.rfc-editor.org/rfc/rfc7517"""
        numbers = self._key.public_key().public_numbers()
        exponent, modulus = numbers.e.to_bytes(3, "big"), numbers.n.to_bytes(256, "big")
        shown = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self._kid}
        return {**shown, "n": _plain(modulus), "e": _plain(exponent)}

    @contextlib.contextmanager
    def serving(self) -> Iterator["TokenEndpoint"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


def _plain(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
