"""Keys: who may use the service, for which tenant, how much and until when."""

from bitextmine.keys.caller import LOCAL, NOBODY, Caller, Scope
from bitextmine.keys.rate import Rate
from bitextmine.keys.record import Grant, KeyRecord, Token
from bitextmine.keys.ring import KeyRing
from bitextmine.keys.store import KeyStore

__all__ = ["LOCAL", "NOBODY", "Caller", "Grant", "KeyRecord", "KeyRing", "KeyStore", "Rate", "Scope", "Token"]
