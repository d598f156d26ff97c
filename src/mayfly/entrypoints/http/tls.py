"""TLS: the certificate and its key, read at start and again at SIGHUP."""

import ssl
import stat
from pathlib import Path

from mayfly.journal import journal
from mayfly.model.errors import Misconfigured


class Certificate:
    """`context` is what connections are opened with; connections that stand keep what they had."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """
        Raises:
            Misconfigured: a file cannot be read, the two do not belong together, or others may read the key.
        """
        self._certificate = certificate
        self._key = key
        self.context = self._read()

    def read_again(self) -> None:
        """After a renewal. What cannot be used is told, and the old one stays."""
        try:
            # Tried first: half of a pair must not come into force.
            self._read()
            self.context.load_cert_chain(self._certificate, self._key, _no_passphrase)
        except (Misconfigured, OSError) as fault:
            journal("certificate_refused", reason=str(fault))
        else:
            journal("certificate_read")

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            if stat.S_IMODE(self._key.stat().st_mode) & stat.S_IRWXO:
                raise Misconfigured(f"tls_key: others may read {self._key}: chmod 600 it, and consider it known")
            context.load_cert_chain(self._certificate, self._key, _no_passphrase)
        except ssl.SSLError as fault:
            raise Misconfigured(
                f"tls_certificate: {self._certificate} and {self._key} are no certificate and its key in PEM "
                f"({fault.reason or 'unreadable'})"
            ) from None
        except OSError as fault:
            raise Misconfigured(f"tls_certificate, tls_key: {fault.filename or 'a file'}: {fault.strerror}") from None
        return context


def _no_passphrase() -> str:
    # Without it OpenSSL would ask on the terminal, and the start would hang.
    raise Misconfigured("tls_key: the key has a passphrase; give one without, readable by the server alone")
