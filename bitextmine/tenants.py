"""Tenants: whose a corpus, a job or a bitext is. Without keys there is one, the default tenant."""

from __future__ import annotations

import re

from bitextmine.errors import ParameterError

DEFAULT_TENANT = "default"
_NAME = re.compile("[a-z0-9][a-z0-9-]{0,62}")


def is_tenant(name: str) -> bool:
    """Whether a tenant can have this name."""
    return _NAME.fullmatch(name) is not None


def check_tenant(name: str) -> str:
    """The name itself, when it can be a tenant's: it becomes part of paths and of keys in Redis.

    Raises:
        ParameterError: `invalid-name`.
    """
    if not is_tenant(name):
        message = f"{name[:80]!r} cannot name a tenant: use 1 to 63 of a-z, 0-9 and '-', a letter or digit first"
        raise ParameterError(message, code="invalid-name")
    return name
