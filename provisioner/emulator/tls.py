"""A certificate authority of the emulator's own, and the leaf that it serves with.

The authority is kept (ca.pem, ca.key), so that a client which was told once to trust it stays
connected over restarts; the leaf is made anew at every start. Files are 0600, written atomically.
"""

from __future__ import annotations

import datetime as dt
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from trustme import CA

from provisioner.emulator.files import write_private

HOSTS = ("localhost", "127.0.0.1")


def authority(folder: Path) -> CA:
    """The folder's authority; made on first use, and again once it is about to expire."""
    certificate, key = folder / "ca.pem", folder / "ca.key"
    if certificate.is_file() and key.is_file():
        pem, secret = certificate.read_bytes(), key.read_bytes()
        if _usable(pem, secret):
            return CA.from_pem(cert_bytes=pem, private_key_bytes=secret)
    ca = CA(organization_name="provisioner emulator", organization_unit_name="loopback only")
    write_private(key, ca.private_key_pem.bytes())
    write_private(certificate, ca.cert_pem.bytes())
    return ca


def server_context(ca: CA, scratch: Path) -> ssl.SSLContext:
    """A server context with a fresh leaf for localhost; nothing of the leaf stays on disk."""
    leaf = ca.issue_cert(*HOSTS)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        pem = Path(folder) / "leaf.pem"
        write_private(pem, leaf.private_key_and_cert_chain_pem.bytes())
        context.load_cert_chain(pem)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _usable(pem: bytes, key: bytes) -> bool:
    """Whether the pair belongs together and is good for another month."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        secret = load_pem_private_key(key, password=None)
    except (ValueError, TypeError):
        return False
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(days=30)
    return (
        certificate.not_valid_after_utc > soon and secret.public_key() == certificate.public_key()
    )
