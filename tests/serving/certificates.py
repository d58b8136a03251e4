"""Certificates made for a test."""

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LOCALHOST = (x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
ELSEWHERE = (x509.DNSName("elsewhere.example"),)


@dataclass
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path
    signed: x509.Certificate
    private: ec.EllipticCurvePrivateKey


def make_pair(
    folder: Path,
    name: str,
    authority: Pair | None = None,
    *,
    names: Sequence[x509.GeneralName] = LOCALHOST,
    days: int = 1,
) -> Pair:
    """A certificate signed by an authority, or an authority itself.

    Args:
        folder: where the PEM files are written.
        name: of the files, and of whom the certificate is of.
        authority: that signs; None: it signs itself.
        names: of the host.
        days: from now on that it is valid; 0: it has just expired.
    """
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority.signed.subject if authority else subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=days, minutes=-1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
        .sign(authority.private if authority else private, hashes.SHA256())
    )
    pair = Pair(folder / f"{name}.pem", folder / f"{name}.key", signed, private)
    pair.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    pair.key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pair


def make_pairs(folder: Path) -> dict[str, Pair]:
    """An authority, what it has signed, and one that nobody knows."""
    authority = make_pair(folder, "authority")
    return {
        "authority": authority,
        "server": make_pair(folder, "server", authority),
        "expired": make_pair(folder, "expired", authority, days=0),
        "elsewhere": make_pair(folder, "elsewhere", authority, names=ELSEWHERE),
        "client": make_pair(folder, "client", authority),
        "late": make_pair(folder, "late", authority, days=0),
        "stranger": make_pair(folder, "stranger"),
    }
