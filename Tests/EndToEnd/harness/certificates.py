"""A certificate authority for tests, and the certificates it signs."""

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """Signs certificates and writes them as PEM files into a folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign(_name("Test authority"), self.key, _name("Test authority"), authority=True)
        self.file = folder / "authority.pem"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(
        self,
        subject: x509.Name,
        key,
        issuer: x509.Name,
        authority: bool,
        names: list[x509.GeneralName] = (),
        age: int = 0,
        remains: datetime.timedelta = datetime.timedelta(days=2),
        more: list[x509.ExtensionType] = (),
    ):
        now = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=age)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + remains)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        for extension in more:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, name: str = "localhost", kind: str = "ECDSA", file: str = "") -> tuple[Path, Path]:
        """Certificate and key files for a host name; 127.0.0.1 is in every certificate too."""
        names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        return self.issue_to(_name(name.replace("*", "any")), names, file or f"{name}.{kind}".replace("*", "any"), kind)

    def issue_to(
        self,
        subject: x509.Name,
        names: list[x509.GeneralName],
        file: str,
        kind: str = "ECDSA",
        age: int = 0,
        remains: datetime.timedelta = datetime.timedelta(days=2),
    ) -> tuple[Path, Path]:
        """Certificate and key files for anybody; one of three days of `age` is over."""
        if kind == "RSA":
            key = rsa.generate_private_key(65537, 2048)
        else:
            key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(
            subject, key, self.certificate.subject, authority=False, names=names, age=age, remains=remains
        )
        certificate_file, key_file = self.folder / f"{file}.crt", self.folder / f"{file}.key"
        certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return certificate_file, key_file

    def voluminous(self, kibibytes: int) -> str:
        """A certificate of such a size, for chains that are long."""
        fill = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), bytes(kibibytes << 10))
        return self._sign(_name("long"), self.key, _name("long"), authority=True, more=[fill]).public_bytes(
            serialization.Encoding.PEM).decode()

    def client_context(self, own: tuple[Path, Path] | None = None) -> ssl.SSLContext:
        """Trusts this authority; `own` is the client's certificate with its key."""
        context = ssl.create_default_context(cafile=str(self.file))
        if own:
            context.load_cert_chain(*map(str, own))
        return context

    def server_context(self, name: str = "localhost") -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*map(str, self.issue(name)))
        return context
