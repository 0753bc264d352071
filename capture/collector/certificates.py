"""The collector's side of TLS: its certificate and key, whom it lets in, and both anew when their files change.

gRPC speaks TLS 1.2 and 1.3 and nothing older. Files that do not fit together, as between the two writes of a renewal,
leave what was served before in place. Knows nothing of who the clients are.
"""

from __future__ import annotations

import logging
import ssl
import threading
from pathlib import Path

import grpc

from capture.collector.settings import CertificateFiles, SettingsRefused
from capture.rereading import Rereading

_log = logging.getLogger(__name__)


class Certificates:
    """What is served at the moment. Raises SettingsRefused where the files cannot be served with at the start."""

    def __init__(self, files: CertificateFiles) -> None:
        self._files = files
        paths = (files.certificate, files.key, files.client_authority)
        self._readings = [Rereading(path, Path.read_bytes) for path in paths if path is not None]
        self._lock = threading.Lock()
        self._served = self._now()

    def credentials(self) -> grpc.ServerCredentials:
        """For a port; asks for the files' state at each handshake."""
        return grpc.dynamic_ssl_server_credentials(
            _configuration(self._served),
            self._changed,  # type: ignore[arg-type]  # gRPC takes None for *as before*; its stubs do not know
            require_client_authentication=self._files.client_authority is not None,
        )

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Called by gRPC's threads: the new configuration, None where the one in use still serves."""
        with self._lock:
            try:
                now = self._now()
            except SettingsRefused as error:
                _log.warning("the certificate in use stays: %s", error)
                return None
            if now == self._served:
                return None
            self._served = now
            _log.info("the certificate files have changed and are served from now on")
            return _configuration(now)

    def _now(self) -> tuple[bytes, ...]:
        try:
            contents = tuple(reading.current() for reading in self._readings)
        except OSError as error:
            raise SettingsRefused(f"{error.filename} cannot be read: {error.strerror}; make that possible") from error
        if contents != getattr(self, "_served", None):
            self._check()
        return contents

    def _check(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        files = self._files
        try:
            context.load_cert_chain(files.certificate, files.key, password=_no_password)
        except (OSError, ValueError) as error:
            raise SettingsRefused(
                f"{files.certificate} and {files.key} are no PEM certificate and its unencrypted key; give such a pair"
            ) from error
        if files.client_authority is not None:
            try:
                context.load_verify_locations(files.client_authority)
            except OSError as error:
                raise SettingsRefused(f"{files.client_authority} holds no PEM certificate; give one") from error


def _no_password() -> str:
    """Without this OpenSSL would ask on the terminal."""
    return ""


def _configuration(contents: tuple[bytes, ...]) -> grpc.ServerCertificateConfiguration:
    certificate, key, *authorities = contents
    return grpc.ssl_server_certificate_configuration([(key, certificate)], authorities[0] if authorities else None)
