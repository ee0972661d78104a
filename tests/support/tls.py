"""Certificates made on the spot, and servers that speak TLS with them."""

from __future__ import annotations

import datetime
import socket
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.raw_server import RawServer, Script

TARGET = "lofty.invalid"  # a name that never resolves (RFC 6761)


def make_certificate(path: Path, ends_in_days: float = 1) -> Path:
    """Write a certificate and its key into one file, for ``localhost`` and the target."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, TARGET)])
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=ends_in_days)
    names = x509.SubjectAlternativeName([x509.DNSName(TARGET), x509.DNSName("localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - datetime.timedelta(days=2))
        .not_valid_after(end)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


def server_side(certificate: Path) -> ssl.SSLContext:
    """Make the context of a server with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def over_tls(tls: ssl.SSLContext, answer: bytes) -> Script:
    """Make a script that speaks TLS and answers every request; with an empty answer it hangs up after the first."""

    def script(connection: socket.socket, server: RawServer) -> None:
        with tls.wrap_socket(connection, server_side=True) as secured:
            while server.read_request(secured) and answer:
                secured.sendall(answer)

    return script
