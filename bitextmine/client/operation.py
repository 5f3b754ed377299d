"""Operations: each is written once, as a flow, and called through either client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from bitextmine.client.connection import Blocking, InLoop
from bitextmine.client.steps import Emitting, Flow

Mode = TypeVar("Mode", bound="Blocking | InLoop")
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Item = TypeVar("Item")


class Group(Generic[Mode]):
    """Operations that share a connection: `Group[Blocking]`'s return results, `Group[InLoop]`'s are awaited."""

    def __init__(self, connection: Mode) -> None:
        self.connection = connection


class operation(Generic[Arguments, Result]):  # noqa: N801 - used as a decorator
    """Makes a method of a Group of a flow: it returns the flow's result, or something to await for it."""

    def __init__(self, flow: Callable[Concatenate[Any, Arguments], Flow[Result]]) -> None:
        self.flow = flow
        self.__doc__ = flow.__doc__

    @overload
    def __get__(self, group: Group[Blocking], owner: object = None) -> Callable[Arguments, Result]: ...
    @overload
    def __get__(
        self, group: Group[InLoop], owner: object = None
    ) -> Callable[Arguments, Coroutine[Any, Any, Result]]: ...
    @overload
    def __get__(self, group: None, owner: object = None) -> operation[Arguments, Result]: ...
    def __get__(self, group: Group[Any] | None, owner: object = None) -> Any:
        if group is None:
            return self

        @wraps(self.flow)
        def method(*args: Arguments.args, **options: Arguments.kwargs) -> Any:
            return group.connection.run(self.flow(group, *args, **options))

        return method


class listing(Generic[Arguments, Item]):  # noqa: N801 - used as a decorator
    """Makes a method of a Group of a flow that emits items: it iterates over them, asking for no more than it must."""

    def __init__(self, flow: Callable[Concatenate[Any, Arguments], Emitting[Item]]) -> None:
        self.flow = flow
        self.__doc__ = flow.__doc__

    @overload
    def __get__(self, group: Group[Blocking], owner: object = None) -> Callable[Arguments, Iterator[Item]]: ...
    @overload
    def __get__(self, group: Group[InLoop], owner: object = None) -> Callable[Arguments, AsyncIterator[Item]]: ...
    @overload
    def __get__(self, group: None, owner: object = None) -> listing[Arguments, Item]: ...
    def __get__(self, group: Group[Any] | None, owner: object = None) -> Any:
        if group is None:
            return self

        @wraps(self.flow)
        def method(*args: Arguments.args, **options: Arguments.kwargs) -> Any:
            return group.connection.iterate(self.flow(group, *args, **options))

        return method
