"""Signatures of what is published: DSSE envelopes (secure-systems-lab/dsse 1.0) with in-toto Statements v1, by Ed25519.

The private key is made from the installation's signing key; who verifies has the public one from elsewhere, never from the release.
What is signed, and what a bad signature means, does not belong here (release.py, audit/verify_release.py).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpi_definitions.nearest import no_file
from warehouse.errors import StoreError
from warehouse.home.keys import Key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

STATEMENT, PAYLOAD = "https://in-toto.io/Statement/v1", "application/vnd.in-toto+json"
PREDICATE = "urn:qala:release:1"


class SignatureError(ValueError):
    """An envelope is none, or nothing in it was signed by the key; the message says which. `other_key`: by another key."""

    def __init__(self, message: str, *, other_key: bool = False):
        super().__init__(message)
        self.other_key = other_key


def encoded(kind: str, body: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what is signed binds the type as well as the content."""
    return b"DSSEv1 %d %b %d %b" % (len(kind.encode()), kind.encode(), len(body), body)


def private_key(key: Key) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(key.derived("ed25519"))


def public_pem(key: Key) -> str:
    """The public key that goes to whoever verifies."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return private_key(key).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def key_id(public: Ed25519PublicKey) -> str:
    """SHA-256 of its DER form, as `openssl pkey -pubin -outform DER | sha256sum` gives it."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def public_key(path: Path) -> Ed25519PublicKey:
    """A public key of a file: PEM, or base64 of its 32 bytes. Raises StoreError."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        content = path.read_bytes()
    except OSError as error:
        said = f"{path} cannot be read ({error.strerror})" if path.exists() else no_file(path)
        raise StoreError(f"{said}; --key takes the file of a public key") from None
    try:
        if content.lstrip().startswith(b"-----"):
            found: Any = load_pem_public_key(content)
            if not isinstance(found, Ed25519PublicKey):
                raise ValueError("it is of another kind")
            return found
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(content.strip(), validate=True))
    except (ValueError, UnsupportedAlgorithm, binascii.Error) as error:
        raise StoreError(
            f"{path} is no Ed25519 public key ({error}); write one with: qala anchor --public-key FILE"
        ) from None


def signature(key: Key, kind: str, body: bytes) -> str:
    return base64.b64encode(private_key(key).sign(encoded(kind, body))).decode()


def signed_by(public: Ed25519PublicKey, kind: str, body: bytes, found: str) -> bool:
    """Whether a signature (base64, standard or for URLs) is the key's, over just this."""
    from cryptography.exceptions import InvalidSignature

    try:
        public.verify(_unpacked(found), encoded(kind, body))
    except (InvalidSignature, ValueError):
        return False
    return True


def envelope(key: Key, subject: Mapping[str, str], predicate: Mapping[str, Any]) -> str:
    """A signed statement about files (name → SHA-256) as JSON."""
    named = [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(subject.items())]
    statement = {"_type": STATEMENT, "subject": named, "predicateType": PREDICATE, "predicate": predicate}
    body = json.dumps(statement, ensure_ascii=False, sort_keys=True).encode()
    by = key_id(private_key(key).public_key())
    content = {
        "payload": base64.b64encode(body).decode(),
        "payloadType": PAYLOAD,
        "signatures": [{"keyid": by, "sig": signature(key, PAYLOAD, body)}],
    }
    return json.dumps(content, indent=1) + "\n"


def opened_envelope(text: str, public: Ed25519PublicKey) -> dict[str, Any]:
    """The statement of an envelope that the key signed: nothing of it is looked at before. Raises SignatureError."""
    try:
        content = json.loads(text)
        kind, body, signatures = content["payloadType"], _unpacked(content["payload"]), content["signatures"]
        given = [(str(one.get("keyid", "")), str(one["sig"])) for one in signatures]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise SignatureError("it is no DSSE envelope") from None
    if kind != PAYLOAD:
        raise SignatureError(f"what is signed in it is not {PAYLOAD}")
    if not any(signed_by(public, kind, body, sig) for _, sig in given):
        ours = key_id(public)
        if given and all(name not in ("", ours) for name, _ in given):
            raise SignatureError(f"it was signed by key {given[0][0][:16]}, not by {ours[:16]}", other_key=True)
        raise SignatureError("the signature does not fit its content, or was made by another key")
    try:
        statement: dict[str, Any] = json.loads(body)
        if (statement["_type"], statement["predicateType"]) != (STATEMENT, PREDICATE):
            raise SignatureError("it is signed, and is no statement about a release")
        return statement
    except (ValueError, TypeError, KeyError) as error:
        raise SignatureError(f"it is signed, and is no statement ({error})") from None


def subjects(statement: Mapping[str, Any]) -> dict[str, str]:
    """File → SHA-256 of a statement. Raises SignatureError."""
    try:
        return {str(one["name"]): str(one["digest"]["sha256"]) for one in statement["subject"]}
    except (TypeError, KeyError):
        raise SignatureError("it names no files with their SHA-256") from None


def _unpacked(text: str) -> bytes:
    if not re.fullmatch(r"[A-Za-z0-9+/_-]*=*", text):
        raise ValueError("no base64")
    return base64.b64decode(text.translate(str.maketrans("-_", "+/")))
