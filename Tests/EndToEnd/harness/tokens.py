"""Signing keys, key sets and tokens, well-made ones and broken ones."""

import base64
import hashlib
import hmac
import json
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

ISSUER = "https://id.example.com"
AUDIENCE = "orders"
_HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
_CURVES = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def b64(data: bytes) -> str:
    """base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def non_canonical(segment: str) -> str:
    """The same bytes spelt otherwise: an unused trailing bit of the last character is set (RFC 4648 §3.5)."""
    assert len(segment) % 4 in (2, 3), "every bit of this segment is used"
    return segment[:-1] + _ALPHABET[_ALPHABET.index(segment[-1]) | 1]


def _integer(value: int) -> str:
    return b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _generate(algorithm: str):
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm]())
    if algorithm == "Ed448":
        return ed448.Ed448PrivateKey.generate()
    if algorithm in ("EdDSA", "Ed25519"):
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 2048)


class SigningKey:
    """A private key with its algorithm and kid."""

    def __init__(self, algorithm: str, kid: str, private=None):
        self.algorithm, self.kid = algorithm, kid
        self.private = private or _generate(algorithm)

    def signing(self, algorithm: str) -> "SigningKey":
        """The same key and kid, signing otherwise."""
        return SigningKey(algorithm, self.kid, self.private)

    @property
    def public(self):
        return self.private.public_key()

    def public_pem(self) -> bytes:
        return self.public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def public_der(self) -> bytes:
        return self.public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

    def jwk(self, **members) -> dict:
        """The public JWK (RFC 7517); a member given as None is left out."""
        jwk = {"kid": self.kid, "alg": self.algorithm, "use": "sig", **self._parameters(), **members}
        return {name: value for name, value in jwk.items() if value is not None}

    def _parameters(self) -> dict:
        if isinstance(self.private, rsa.RSAPrivateKey):
            numbers = self.public.public_numbers()
            return {"kty": "RSA", "n": _integer(numbers.n), "e": _integer(numbers.e)}
        if not isinstance(self.private, ec.EllipticCurvePrivateKey):
            raw = self.public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            return {"kty": "OKP", "crv": {32: "Ed25519", 57: "Ed448"}[len(raw)], "x": b64(raw)}
        numbers, size = self.public.public_numbers(), (self.public.curve.key_size + 7) // 8
        return {
            "kty": "EC",
            "crv": f"P-{self.public.curve.key_size}",
            "x": b64(numbers.x.to_bytes(size, "big")),
            "y": b64(numbers.y.to_bytes(size, "big")),
        }

    def signature(self, text: bytes) -> bytes:
        """The JWS signature (RFC 7518 §3): for ECDSA r and s side by side."""
        if self.algorithm[:2] == "RS":
            return self.private.sign(text, padding.PKCS1v15(), _HASHES[self.algorithm[2:]])
        if self.algorithm[:2] == "PS":
            digest = _HASHES[self.algorithm[2:]]
            return self.pss_signature(text, digest, digest, digest.digest_size)
        if self.algorithm[:2] == "Ed":
            return self.private.sign(text)
        size = (self.public.curve.key_size + 7) // 8
        r, s = decode_dss_signature(self.der_signature(text))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    def der_signature(self, text: bytes) -> bytes:
        return self.private.sign(text, ec.ECDSA(_HASHES[self.algorithm[2:]]))

    def pss_signature(self, text: bytes, digest, mask, salt: int) -> bytes:
        """RSASSA-PSS (RFC 8017 §8.1) with a mask and a salt that need not be those of RFC 7518 §3.5."""
        return self.private.sign(text, padding.PSS(padding.MGF1(mask), salt), digest)

    def header(self, **members) -> dict:
        """The JOSE header; a member given as None is left out."""
        header = {"alg": self.algorithm, "typ": "at+jwt", "kid": self.kid, **members}
        return {name: value for name, value in header.items() if value is not None}

    def token(self, header: dict | None = None, **claims) -> str:
        """A signed token: good unless told otherwise. A claim given as None is left out."""
        return self.token_of(json.dumps(self.header(**(header or {}))), json.dumps(claims_of(**claims)))

    def token_of(self, header: str | bytes, payload: str | bytes) -> str:
        """A correctly signed token of exactly these documents, whatever they are."""
        parts = [b64(part.encode() if isinstance(part, str) else part) for part in (header, payload)]
        text = ".".join(parts)
        return f"{text}.{b64(self.signature(text.encode()))}"


def claims_of(**claims) -> dict:
    """Claims that are accepted, changed by `claims`; None leaves one out."""
    now = int(time.time())
    accepted = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "alice",
        "exp": now + 600,
        "iat": now - 5,
        "jti": f"{now}-1",
        "permissions": ["read:data"],
    }
    return {name: value for name, value in (accepted | claims).items() if value is not None}


def hmac_token(secret: bytes, header: dict, **claims) -> str:
    """A token with an HMAC under a secret of the sender's choice; HS256 unless the header names another."""
    text = ".".join(b64(json.dumps(part).encode()) for part in (header, claims_of(**claims)))
    digest = {"HS384": hashlib.sha384, "HS512": hashlib.sha512}.get(header.get("alg"), hashlib.sha256)
    return f"{text}.{b64(hmac.new(secret, text.encode(), digest).digest())}"


def unsigned_token(header: dict, signature: str = "", **claims) -> str:
    """A token whose signature is this text."""
    return ".".join([*(b64(json.dumps(part).encode()) for part in (header, claims_of(**claims))), signature])


def key_set(*keys: SigningKey | dict) -> dict:
    """A JWK Set document."""
    return {"keys": [key.jwk() if isinstance(key, SigningKey) else key for key in keys]}


def bearer(token: str) -> str:
    """The Authorization field line."""
    return f"Authorization: Bearer {token}"
