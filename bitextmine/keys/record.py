"""A key: what its holder carries (a token), and what is kept of it (a record, which nobody can make the token of)."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from bitextmine.errors import BitextmineError, ParameterError
from bitextmine.keys.caller import Caller, Scope
from bitextmine.keys.rate import Rate
from bitextmine.tenants import DEFAULT_TENANT, check_tenant

TOKEN_PREFIX = "btm_"  # noqa: S105 - what secret scanners know a token by
ID_PATTERN = "[0-9a-f]{12}"
_TOKEN = re.compile(f"{TOKEN_PREFIX}({ID_PATTERN})_([0-9a-f]{{64}})")
_SECRET_BYTES = 32
_NOBODYS_DIGEST = "0" * 64
_MOST_NAME = 64


@dataclass(frozen=True, slots=True)
class Token:
    """`btm_<id>_<secret>`: the id is no secret; the secret is 256 random bits."""

    key_id: str
    secret: str

    @classmethod
    def new(cls, key_id: str) -> Token:
        return cls(key_id, secrets.token_hex(_SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> Token | None:
        """None where the text is no token."""
        match = _TOKEN.fullmatch(text)
        return cls(match[1], match[2]) if match else None

    @property
    def digest(self) -> str:
        """SHA-256 of the secret. A slow hash protects what people can remember; nobody guesses 256 random bits."""
        return hashlib.sha256(self.secret.encode()).hexdigest()

    def __str__(self) -> str:
        return f"{TOKEN_PREFIX}{self.key_id}_{self.secret}"

    def __repr__(self) -> str:
        return f"Token({self.key_id!r}, ...)"


class SecretRecord(BaseModel):
    """A secret that opens the key, until the time given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    until: AwareDatetime | None = None


def check_key_name(name: str) -> str:
    """
    Raises:
        ParameterError: `invalid-name`.
    """
    if not (0 < len(name) <= _MOST_NAME and name.isprintable() and name == name.strip()):
        message = f"{name[:80]!r} cannot name a key: use 1 to {_MOST_NAME} printable characters, no space at the ends"
        raise ParameterError(message, code="invalid-name")
    return name


def _as_rate(value: object) -> object:
    return Rate.parse(value) if isinstance(value, str) else value


def _valid(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A check that raises ParameterError as a validator: pydantic wants a ValueError."""

    def validate(value: Any) -> Any:
        try:
            return check(value)
        except ParameterError as error:
            raise ValueError(str(error)) from error

    return validate


RateText = Annotated[Rate, BeforeValidator(_valid(_as_rate)), PlainSerializer(str)]


class Grant(BaseModel):
    """What a key allows, to whom, and until when."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(_valid(check_key_name))]
    tenant: Annotated[str, AfterValidator(_valid(check_tenant))] = DEFAULT_TENANT
    scope: Scope = Scope.READ
    expires: AwareDatetime | None = None
    rate: RateText | None = None
    max_sentences: Annotated[int, Field(ge=0)] | None = None
    max_jobs: Annotated[int, Field(ge=0)] | None = None


class KeyRecord(Grant):
    """What is kept of a key, in `<data dir>/keys/<id>.json`. Unknown fields are refused: they may be limits."""

    id: Annotated[str, Field(pattern=f"^{ID_PATTERN}$")]
    created: AwareDatetime
    secrets: tuple[SecretRecord, ...] = Field(min_length=1, max_length=2)

    @property
    def caller(self) -> Caller:
        return Caller(self.tenant, self.scope, self.id, self.rate, self.max_sentences, self.max_jobs)

    def open(self, token: Token, now: datetime) -> Caller:
        """The caller that the token's holder is.

        Raises:
            BitextmineError: `key-invalid`: it is no secret of this key; `key-expired`: it was one.
        """
        matches = [secret for secret in self.secrets if hmac.compare_digest(secret.sha256, token.digest)]
        if not matches:
            raise key_invalid()
        if matches[0].until is not None and matches[0].until <= now:
            raise _expired(f"the key {self.id} has a new secret, and the old one is not accepted any more")
        if self.expires is not None and self.expires <= now:
            raise _expired(f"the key {self.id} expired at {self.expires.isoformat(timespec='seconds')}")
        return self.caller


def refuse_unknown(token: Token) -> BitextmineError:
    """The error for an id that no key has; it takes the time that comparing the secret would."""
    hmac.compare_digest(_NOBODYS_DIGEST, token.digest)
    return key_invalid()


def key_invalid() -> BitextmineError:
    return BitextmineError("the key is not one of this service, or was revoked", code="key-invalid")


def _expired(message: str) -> BitextmineError:
    return BitextmineError(message, code="key-expired")
