"""Signatures of outgoing webhooks, as the Standard Webhooks specification has them (standardwebhooks.com).

The receiver computes the same and compares; the time in the signature keeps an old message from being sent again.
"""

import base64
import binascii
import hashlib
import hmac

_PREFIX = "whsec_"


class BadSecret(ValueError):
    """The secret for signatures cannot be used."""


def signature(secret: str, identity: str, timestamp: int, body: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over "id.timestamp.body". Raises `BadSecret`.

    A secret that begins with `whsec_` is base64, any other one is used as it is written.
    """
    signed = b".".join([identity.encode(), str(timestamp).encode(), body])
    return "v1," + base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode()


def _key(secret: str) -> bytes:
    if not secret:
        raise BadSecret("there is no secret to sign with: set NOTIFY_WEBHOOK_SECRET")
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadSecret("NOTIFY_WEBHOOK_SECRET begins with whsec_, but what follows is not base64") from error
