"""The token with which a caller joins a room of LiveKit.

A token names the room, the caller and what he may do there, and is signed with the API secret of
the server (a JSON Web Token, HS256). One that somebody else signed can be given instead.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from voicebench.errors import UsageError
from voicebench.remote.connection.access import Access, ApiKey
from voicebench.secrecy import Secrets

if TYPE_CHECKING:
    from voicebench.settings.call_section import CallSettings

KEY_VARIABLE, SECRET_VARIABLE = "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"
"""The names that LiveKit's own programs read."""
HEAD = {"alg": "HS256", "typ": "JWT"}
VALID_S = 3600
EARLIER_S = 60
"""A server whose clock is behind ours takes the token too."""


@dataclass(frozen=True, slots=True)
class SignedToken(ApiKey):
    """A token in place of a key; ``variable`` holds what it was signed with."""

    token: str = field(default="", repr=False)

    def value(self) -> str:
        """Return the token."""
        return self.token


class RoomTokens:
    """Makes the token of each call, by the settings of `call` and the environment."""

    def __init__(self, call: CallSettings) -> None:
        """Raise `UsageError` if there is neither a token nor an API key with its secret."""
        self._call = call
        if call.key_env is not None:
            ApiKey(call.key_env).value()
            for name, value in (("call.room", call.room), ("call.agent_name", call.agent_name)):
                if value is not None:
                    raise UsageError(
                        f"{name} is set, and the token of call.key_env names its own room",
                        f"put {KEY_VARIABLE} and {SECRET_VARIABLE} into the environment instead of "
                        f"a token, or leave {name} out",
                    )
            return
        self._key = os.environ.get(KEY_VARIABLE, "").strip()
        self._secret = os.environ.get(SECRET_VARIABLE, "").strip()
        if not self._key or not self._secret:
            raise UsageError(
                "a room of LiveKit needs a token",
                f"put the server's API key and secret into {KEY_VARIABLE} and {SECRET_VARIABLE}; "
                "or put a token into a variable, and name that: --key-env LIVEKIT_TOKEN",
            )

    def next_access(self, access: Access) -> Access:
        """Return ``access`` with the token of the next call."""
        if self._call.key_env is not None:
            return access
        token = self._sign()
        return replace(
            access,
            key=SignedToken(SECRET_VARIABLE, token=token),
            hidden=access.hidden | Secrets([self._secret]),
        )

    def _sign(self) -> str:
        drawn = secrets.token_hex(4)
        now_s = int(time.time())
        claims: dict[str, object] = {
            "iss": self._key,
            "sub": f"caller-{drawn}",
            "name": "voicebench",
            "nbf": now_s - EARLIER_S,
            "exp": now_s + VALID_S,
            "video": {
                "roomJoin": True,
                # An agent is sent into each new room, so by default each call has its own.
                "room": self._call.room or f"voicebench-{drawn}",
                "canPublish": True,
                "canSubscribe": True,
                "canPublishData": False,
            },
        }
        if self._call.agent_name is not None:
            claims["roomConfig"] = {"agents": [{"agentName": self._call.agent_name}]}
        return signed(claims, self._secret)


def signed(claims: Mapping[str, object], secret: str) -> str:
    """Return a JSON Web Token, signed with HMAC and SHA-256 (RFC 7519, RFC 7515)."""
    parts = [_encoded(json.dumps(part, separators=(",", ":")).encode()) for part in (HEAD, claims)]
    content = ".".join(parts)
    digest = hmac.digest(secret.encode(), content.encode(), hashlib.sha256)
    return f"{content}.{_encoded(digest)}"


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
