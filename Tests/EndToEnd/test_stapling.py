"""OCSP responses from files (RFC 6066 section 8, RFC 6960): told to clients that ask, while they hold, and refused at load
when they are of no use."""

import datetime
import signal
import subprocess
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from harness.certificates import Authority
from harness.gateway import run_command
from harness.waiting import wait_until

CONFIGURATION = """
worker_processes 2;
error_log stderr info;
admin { listen 127.0.0.1:@admin_port@; }
server {
    listen 127.0.0.1:@port@;
    listen 127.0.0.1:@tls_port@ ssl;
    ssl_certificate @ecdsa@;
    ssl_certificate_key @ecdsa_key@;
    ssl_certificate @rsa@;
    ssl_certificate_key @rsa_key@;
    ssl_stapling_file @rsa_staple@;
    ssl_stapling_file @ecdsa_staple@;
    auth off;
    location / { return 200 "ok\\n"; }
}
"""


def chain(authority: Authority, issued, folder):
    """The certificate with its issuer behind it."""
    file = folder / f"chain-{issued[0].name}"
    file.write_bytes(issued[0].read_bytes() + authority.file.read_bytes())
    return file


def response(
    authority: Authority, file, *, status=ocsp.OCSPCertStatus.GOOD, since=-60, holds=3600, signer=None, key=None
) -> bytes:
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    revoked = status == ocsp.OCSPCertStatus.REVOKED
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            certificate,
            authority.certificate,
            hashes.SHA1(),
            status,
            now + datetime.timedelta(seconds=since),
            now + datetime.timedelta(seconds=holds),
            now if revoked else None,
            None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, signer or authority.certificate)
    )
    if signer:
        builder = builder.certificates([signer])
    made = builder.sign(key or authority.key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.DER)


@pytest.fixture(scope="module")
def values(authority, tmp_path_factory):
    folder = tmp_path_factory.mktemp("staples")
    named = {}
    for word in ("rsa", "ecdsa"):
        issued = authority.issue("localhost", word.upper())
        named[word], named[f"{word}_key"] = chain(authority, issued, folder), issued[1]
        named[f"{word}_staple"] = folder / f"{word}.der"
        named[f"{word}_staple"].write_bytes(response(authority, issued[0]))
    return named


def asked(port: int, *options: str) -> str:
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost", "-status", *options],
        input=b"",
        capture_output=True,
        timeout=10,
    )
    return done.stdout.decode("latin-1")


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize(
    ("algorithm", "word"), [("rsa_pss_rsae_sha256", "rsa"), ("ecdsa_secp256r1_sha256", "ecdsa")]
)
def test_the_shown_certificate_is_spoken_of(gateway, values, version, algorithm, word):
    text = asked(gateway.tls_port, version, "-sigalgs", algorithm)
    serial = x509.load_pem_x509_certificate(values[word].read_bytes()).serial_number
    assert "OCSP Response Status: successful" in text and "Cert Status: good" in text
    assert f"{serial:X}" in text.split("Serial Number:")[1].split("\n")[0].upper()


def test_nobody_is_told_who_does_not_ask(gateway):
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{gateway.tls_port}", "-msg"],
        input=b"",
        capture_output=True,
        timeout=10,
    )
    assert b"OCSP" not in done.stdout and b"CertificateStatus" not in done.stdout


@pytest.fixture
def files(authority, tmp_path):
    """A configuration with one certificate, to whose staple anything can be written."""
    issued = authority.issue("localhost")
    staple = tmp_path / "staple.der"
    configuration = f"""
worker_processes 1;
error_log stderr info;
server {{
    listen 127.0.0.1:@port@;
    listen 127.0.0.1:@tls_port@ ssl;
    ssl_certificate {chain(authority, issued, tmp_path)};
    ssl_certificate_key {issued[1]};
    ssl_stapling_file {staple};
    auth off;
    location / {{ return 200; }}
}}
"""
    return issued[0], staple, configuration


def helper_of(authority: Authority, usage) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Somebody who answers for the authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Responder")]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return builder.sign(authority.key, hashes.SHA256()), key


def checked(configuration: str, tmp_path):
    file = tmp_path / "gateway.conf"
    file.write_text(configuration.replace("@port@", "1").replace("@tls_port@", "2"))
    return run_command("check", "-c", file)


def test_what_is_of_no_use_is_refused(authority, files, tmp_path):
    certificate, staple, configuration = files
    other = authority.issue("other.example")[0]
    stranger = Authority(tmp_path)
    responder, responder_key = helper_of(authority, ExtendedKeyUsageOID.OCSP_SIGNING)
    nobody, nobody_key = helper_of(authority, None)
    good = response(authority, certificate)
    refused = [
        (b"", "no OCSP response"),
        (b"garbage", "no OCSP response"),
        (good[:-1], "no OCSP response"),
        (good + b"x", "no OCSP response"),
        (ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER).public_bytes(
            serialization.Encoding.DER), "no OCSP response"),
        (response(authority, other), "another certificate"),
        (response(authority, certificate, status=ocsp.OCSPCertStatus.REVOKED), "revoked"),
        (response(authority, certificate, status=ocsp.OCSPCertStatus.UNKNOWN), "nothing is known"),
        (response(authority, certificate, since=-7200, holds=-3600), "its time is over"),
        (response(authority, certificate, since=7200, holds=10_000), "its time is over"),
        (response(authority, certificate, signer=stranger.certificate, key=stranger.key), "has not signed"),
        (response(authority, certificate, signer=nobody, key=nobody_key), "has not signed"),
        (good[:-5] + bytes([good[-5] ^ 1]) + good[-4:], "has not signed"),
    ]
    for content, reason in refused:
        staple.write_bytes(content)
        done = checked(configuration, tmp_path)
        assert done.returncode == 1 and reason in done.stderr + done.stdout, (reason, done)
        assert str(staple) in done.stderr + done.stdout
    for content in (good, response(authority, certificate, signer=responder, key=responder_key)):
        staple.write_bytes(content)
        assert checked(configuration, tmp_path).returncode == 0, checked(configuration, tmp_path)


def test_one_that_expires_is_told_no_more(start, authority, files):
    certificate, staple, configuration = files
    staple.write_bytes(response(authority, certificate, holds=4))
    gateway = start(configuration)
    assert "Cert Status: good" in asked(gateway.tls_port)
    wait_until(lambda: "no response sent" in asked(gateway.tls_port), 8, what="the response is no longer told")
    # And a new one is, after a reload.
    staple.write_bytes(response(authority, certificate))
    gateway.send_signal(signal.SIGHUP)
    wait_until(lambda: "Cert Status: good" in asked(gateway.tls_port), 5, what="the new response is told")
    # A reload with a bad one changes nothing.
    staple.write_bytes(b"garbage")
    gateway.send_signal(signal.SIGHUP)
    gateway.wait_for_notice("the configuration was not reloaded")
    time.sleep(0.1)
    assert "Cert Status: good" in asked(gateway.tls_port)
