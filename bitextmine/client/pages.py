"""Lists that come in pages, as one."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from bitextmine.client.answers import answered, unexpected
from bitextmine.client.results import Answer
from bitextmine.client.steps import Call, Emit, Emitting, Query

Item = TypeVar("Item", bound=Answer)
PAGE = 500  # items; the service gives 1,000 at most


class _Page(Answer):
    items: list[Any]
    next_cursor: str | None = None


def all_items(kind: type[Item], path: str, query: Query, page: int = PAGE) -> Emitting[Item]:
    """Emit the items of a list, asking for a page when the one before has been used up.

    Raises:
        ServiceError: what the service refused, or `service-unreachable`.
    """
    cursor: str | None = None
    while True:
        response = yield from answered(Call("GET", path, query={**query, "limit": page, "cursor": cursor}))
        try:
            found = _Page.model_validate_json(response.content)
            items = TypeAdapter(list[kind]).validate_python(found.items)  # type: ignore[valid-type]
        except ValidationError as error:
            raise unexpected(response, f"it is no page of {kind.__name__}s") from error
        for item in items:
            yield Emit(item)
        if found.next_cursor is None:
            return
        cursor = found.next_cursor
