"""Wrapping a call of any of the four kinds of functions, once for all decorators."""

import functools
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from threading import get_ident
from types import FunctionType, MethodType
from typing import Any, Protocol, TypeAlias

from obs._context import BAGGAGE, COLLECTING, CURRENT, DEADLINE, DEPTH, Node
from obs.errors import DefinitionError, shown

_current, _baggage, _deadline = CURRENT.get, BAGGAGE.get, DEADLINE.get
# Not the attribute: an exception's class may have another of that name.
_traceback_of = BaseException.__dict__["__traceback__"].__get__
_set_traceback = BaseException.__dict__["__traceback__"].__set__

State: TypeAlias = tuple[Node | None, Mapping[str, str], int | None]
"""What is current: the node, the baggage, the deadline."""


class Wrapped(Protocol):
    """What is done around each call.

    ``enter`` gets the call's arguments and gives a token, which ``exit`` gets back with
    the arguments and the exception that ended the call, or None. Neither may raise.
    Near the recursion limit either does: then ``enter`` is to leave nothing behind, and
    ``exit`` is first to undo what ``enter`` did, by calls that go no deeper than those did.
    What ``enter`` makes the current span is current while the function runs.
    """

    def enter(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The call begins."""
        ...

    def exit(
        self,
        token: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        error: BaseException | None,
    ) -> None:
        """The call ended."""
        ...


def wrap(function: Any, around: Wrapped) -> Any:
    """Give a function like ``function`` that does ``around`` around each call.

    The result is of the same kind (``def``, ``async def``, generator, async generator) and
    keeps name, docstring, signature and picklability. A classmethod or staticmethod
    object gives one again. For generators a call is what runs from the first ``next`` to
    the end; ``send``, ``throw`` and ``close`` reach the generator. A ``GeneratorExit`` that
    it answers with another item is the end too: whether that was ``close`` cannot be told,
    and who is refused there may drop the generator and never ask again.

    Raises:
        DefinitionError: It is not a function.
    """
    # inspect costs 10 ms to import: an instance without decorators need not pay.
    import inspect  # noqa: PLC0415

    if isinstance(function, classmethod | staticmethod):
        return type(function)(wrap(function.__func__, around))
    if not callable(function) or isinstance(function, type):
        text = (
            f"decorator: got {shown(function)}, needs a function or method. "
            "Decorate the methods of a class one by one."
        )
        raise DefinitionError(text)
    is_object = not isinstance(function, functools.partial | FunctionType | MethodType)
    called = type(function).__call__ if is_object else function
    if inspect.isasyncgenfunction(called):
        make = _async_generator
    elif inspect.iscoroutinefunction(called) or inspect.iscoroutinefunction(function):
        make = _coroutine
    elif _flags(called) & inspect.CO_ITERABLE_COROUTINE:
        make = _coroutine  # types.coroutine: a generator that is awaited
    elif inspect.isgeneratorfunction(called):
        make = _generator
    else:
        make = _plain
    return functools.update_wrapper(make(function, around), function)


def _flags(function: Any) -> int:
    code = getattr(function, "__code__", None)
    return int(getattr(code, "co_flags", 0))


def _plain(function: Callable[..., Any], around: Wrapped) -> Callable[..., Any]:
    enter, leave = around.enter, around.exit

    def call(*args: Any, **kwargs: Any) -> Any:
        token = enter(args, kwargs)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            leave(token, args, kwargs, error)
            raise
        leave(token, args, kwargs, None)
        return result

    return call


def _coroutine(function: Callable[..., Any], around: Wrapped) -> Callable[..., Any]:
    enter, leave = around.enter, around.exit

    async def call(*args: Any, **kwargs: Any) -> Any:
        token = enter(args, kwargs)
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            leave(token, args, kwargs, error)
            raise
        leave(token, args, kwargs, None)
        return result

    return call


def _generator(function: Callable[..., Any], around: Wrapped) -> Callable[..., Any]:
    enter, leave = around.enter, around.exit

    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        inside = outer = _here()
        step = sent = None
        is_closing = False
        end: Callable[..., None] = leave
        token = enter(args, kwargs)
        try:
            inside = _swap(outer)
            inner = function(*args, **kwargs)
            step = inner.send
            while True:
                outer = _swap(inside)
                try:
                    item = step(sent)
                except StopIteration as stop:
                    result = stop.value
                    break
                finally:
                    inside = _swap(outer)
                step = sent = None
                if is_closing:  # and still gives an item
                    outer = _swap(inside)
                    is_closing, end = False, _ended
                    leave(token, args, kwargs, None)
                    inside = _swap(outer)
                try:
                    sent = yield item
                    item, step = None, inner.send
                except BaseException as error:  # noqa: BLE001 - handed on
                    is_closing = issubclass(type(error), GeneratorExit)
                    _take_off(error)
                    step, sent = inner.throw, error
        except BaseException as error:
            # They may hold the error, whose traceback holds this frame.
            step = sent = None
            outer = _swap(inside)
            end(token, args, kwargs, error)
            _swap(outer)
            raise
        outer = _swap(inside)
        end(token, args, kwargs, None)
        _swap(outer)
        return result

    return call


def _async_generator(
    function: Callable[..., Any], around: Wrapped
) -> Callable[..., Any]:
    enter, leave = around.enter, around.exit

    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        inside = outer = _here()
        step = None
        is_closing = False
        end: Callable[..., None] = leave
        token = enter(args, kwargs)
        try:
            inside = _swap(outer)
            inner = function(*args, **kwargs)
            step = _first_step(inner)
            while True:
                outer = _swap(inside)
                try:
                    item = await step
                except StopAsyncIteration:
                    inside = _swap(outer)
                    break
                except GeneratorExit:
                    inside = _swap_where_set(inside, outer)
                    raise
                except BaseException:
                    inside = _swap(outer)
                    raise
                inside = _swap(outer)
                step = None
                if is_closing:  # and still gives an item
                    outer = _swap(inside)
                    is_closing, end = False, _ended
                    leave(token, args, kwargs, None)
                    inside = _swap(outer)
                try:
                    sent = yield item
                except BaseException as error:  # noqa: BLE001 - handed on
                    is_closing = issubclass(type(error), GeneratorExit)
                    _take_off(error)
                    step = inner.athrow(error)
                else:
                    step = inner.asend(sent)
                item = sent = None
        except BaseException as error:
            step = None  # it may hold the error, whose traceback holds this frame
            outer = _swap(inside)
            end(token, args, kwargs, error)
            _swap(outer)
            raise
        outer = _swap(inside)
        end(token, args, kwargs, None)
        _swap(outer)

    return call


def _ended(*call: object) -> None:
    """End a call that has ended already."""


def _take_off(error: BaseException) -> None:
    """Take the frame that ``error`` was thrown into off its traceback.

    The generator inside is where it goes on: bare, it would be the first to see it.
    """
    traceback = _traceback_of(error)
    if traceback is not None:
        _set_traceback(error, traceback.tb_next)


def _here() -> State:
    """Give what is current."""
    return _current(), _baggage(), _deadline()


def _swap(wanted: State) -> State:
    """Make a state current, and give the one that was.

    A generator's span, baggage and deadline are current only while the generator runs:
    whoever consumes it never sees them, and each step may come from another task.
    """
    # No Python call: it goes no deeper than the ``enter`` before it, so that it does not
    # fail near the recursion limit where that did not.
    before = _current(), _baggage(), _deadline()
    if not COLLECTING or get_ident() not in COLLECTING:
        if wanted[0] is not before[0]:
            CURRENT.set(wanted[0])
        if wanted[1] is not before[1]:
            BAGGAGE.set(wanted[1])
        if wanted[2] is not before[2]:
            DEADLINE.set(wanted[2])
    return before


def _swap_where_set(inside: State, outer: State) -> State:
    """Do what ``_swap`` does, unless this is not where ``inside`` was made current.

    Closing a step that is suspended may happen in any context. Where one of the two nodes
    is around the other, it is the same.
    """
    before, wanted = _current(), inside[0]
    if before is None or wanted is None:
        is_same = before is wanted
    else:
        is_same = _is_around(wanted, before) or _is_around(before, wanted)
    return _swap(outer) if is_same else inside


def _is_around(outer: Node, inner: Node) -> bool:
    node: Node | None = inner
    for _ in range(DEPTH):
        if node is None or node is outer:
            break
        node = node.up
    return node is outer


def _first_step(generator: AsyncGenerator[Any, Any]) -> Any:
    # The event loop shall know the outer generator only: it closes all that it knows at
    # once when it shuts down, and an inner one that is being closed by the outer one
    # would be closed twice ("asynchronous generator is already running").
    hooks = sys.get_asyncgen_hooks()
    try:
        sys.set_asyncgen_hooks(None, None)
        return generator.__anext__()
    finally:
        sys.set_asyncgen_hooks(*hooks)
