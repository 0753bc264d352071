"""Certificates and tokens for one machine: an authority of its own, a certificate for localhost, one client's token.

Knows nothing of processes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import trustme

from capture.collector.clients import TokenBook

if TYPE_CHECKING:
    from pathlib import Path

CLIENT = "bench"


@dataclass(frozen=True, slots=True)
class Trust:
    """The files in one folder."""

    folder: Path

    @classmethod
    def made_in(cls, folder: Path) -> Trust:
        """Make them."""
        folder.mkdir()
        trust = cls(folder)
        authority = trustme.CA()
        server = authority.issue_cert("localhost", "127.0.0.1")
        authority.cert_pem.write_to_path(str(trust.authority))
        server.cert_chain_pems[0].write_to_path(str(trust.certificate))
        server.private_key_pem.write_to_path(str(trust.key))
        trust.token.touch(mode=0o600)
        trust.token.write_text(TokenBook(trust.tokens).add(CLIENT), encoding="ascii")
        return trust

    @property
    def authority(self) -> Path:
        """Whom clients trust; PEM, as the two below."""
        return self.folder / "authority.pem"

    @property
    def certificate(self) -> Path:
        """The server's."""
        return self.folder / "certificate.pem"

    @property
    def key(self) -> Path:
        """The server's."""
        return self.folder / "key.pem"

    @property
    def tokens(self) -> Path:
        """Of the collector: the fingerprints of tokens."""
        return self.folder / "tokens.json"

    @property
    def token(self) -> Path:
        """The client's."""
        return self.folder / "token"
