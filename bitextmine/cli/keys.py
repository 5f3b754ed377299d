"""`bitextmine keys`: who may use the service over the network."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from bitextmine.cli import console
from bitextmine.cli.stages import say
from bitextmine.errors import ArtifactError
from bitextmine.keys import Grant, KeyRecord, KeyStore, Rate, Scope, Token
from bitextmine.keys.moments import parse_moment, parse_span
from bitextmine.keys.record import check_key_name
from bitextmine.tenants import DEFAULT_TENANT, check_tenant

keys = typer.Typer(help="Keys of the service: make, show, replace and revoke them.", no_args_is_help=True)
KeyId = Annotated[str, typer.Argument(help="The key's id; see: bitextmine keys list.")]


@keys.command()
def create(
    name: Annotated[str, typer.Option(help="Whose or what for; shown in the list.")],
    scope: Annotated[
        Scope, typer.Option(help="read: look, search, embed. mine: also upload, mine, delete. admin: all.")
    ],
    tenant: Annotated[
        str, typer.Option(help="Whose corpora, jobs and bitexts it is for; those of others are invisible to it.")
    ] = DEFAULT_TENANT,
    expires: Annotated[
        str | None, typer.Option(show_default="never", help="90d, 12h, 2027-01-01 (its first moment, UTC).")
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(metavar="N/s", show_default="no limit", help="Requests: 10/s, 100/min, 1000/h, 5000/day."),
    ] = None,
    max_sentences: Annotated[
        int | None, typer.Option(min=0, show_default="no limit", help="Sentences that the tenant may have stored.")
    ] = None,
    max_jobs: Annotated[
        int | None, typer.Option(min=0, show_default="no limit", help="Jobs of the tenant, waiting or running.")
    ] = None,
    data_dir: console.DataDir = None,
) -> None:
    """Make a key. It is printed once, on stdout, and kept nowhere: only its hash is."""
    now = datetime.now(UTC)
    grant = Grant(
        name=check_key_name(name),
        tenant=check_tenant(tenant),
        scope=scope,
        expires=parse_moment(expires, now) if expires else None,
        rate=Rate.parse(rate) if rate else None,
        max_sentences=max_sentences,
        max_jobs=max_jobs,
    )
    place = console.writable_workspace(data_dir, None)
    _print_token(KeyStore(place.keys).create(grant))


@keys.command("list")
def list_keys(
    as_json: Annotated[bool, typer.Option("--json", help="As a JSON array.")] = False,
    data_dir: console.DataDir = None,
) -> None:
    """Show the keys, without their secrets, which are not kept."""
    store = KeyStore(console.workspace(data_dir, None).keys)
    records = []
    for key_id in store.ids():
        try:
            record = store.read(key_id)
        except ArtifactError as error:
            say(f"warning: {error}")
        else:
            records += [record] if record else []  # it may have been revoked meanwhile
    records.sort(key=lambda record: record.created)
    if as_json:
        typer.echo(json.dumps([_facts(record) for record in records], indent=2))
    elif records:
        _print_table([_row(record) for record in records])
    else:
        say("no keys yet; make one: bitextmine keys create --name ... --scope ...")


@keys.command()
def revoke(key_id: KeyId, data_dir: console.DataDir = None) -> None:
    """Forget a key: the service refuses it within seconds. What was made with it stays."""
    KeyStore(console.workspace(data_dir, None).keys).revoke(key_id)
    say(f"{key_id} is revoked")


@keys.command()
def rotate(
    key_id: KeyId,
    grace: Annotated[
        str | None, typer.Option(show_default="none", help="How long the old secret is still accepted: 15min, 12h, 7d.")
    ] = None,
    data_dir: console.DataDir = None,
) -> None:
    """Give a key a new secret, printed once on stdout; id, scope and limits stay."""
    store = KeyStore(console.workspace(data_dir, None).keys)
    _print_token(store.rotate(key_id, parse_span(grace) if grace else None))


def _print_token(token: Token) -> None:
    say(f"key {token.key_id}; this is its only showing:")
    typer.echo(str(token))


def _facts(record: KeyRecord) -> dict[str, Any]:
    """All but the hashes of the secrets."""
    facts = record.model_dump(mode="json", exclude={"secrets"})
    previous = [secret.until for secret in record.secrets if secret.until]
    return facts | {"previous_secret_until": previous[0].isoformat() if previous else None}


def _row(record: KeyRecord) -> tuple[str, ...]:
    limits = (record.rate, record.max_sentences, record.max_jobs)
    shown = ("-" if limit is None else str(limit) for limit in limits)
    return (record.id, record.tenant, record.scope, _day(record.created), _expiry(record), *shown, record.name)


def _expiry(record: KeyRecord) -> str:
    if record.expires is None:
        return "never"
    return "expired" if record.expires <= datetime.now(UTC) else _day(record.expires)


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def _print_table(rows: list[tuple[str, ...]]) -> None:
    table = [("id", "tenant", "scope", "created", "expires", "rate", "sentences", "jobs", "name"), *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
