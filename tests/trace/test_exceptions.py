"""Exceptions as events: once in a trace, captured at once, rendered later."""

import builtins
import contextlib
import gc
import linecache
import os
import re
import sys
import traceback
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obs import Limits, Obs, _stacks
from obs._exceptions import (
    ERRORS,
    FRAMES,
    MEMBERS,
    MESSAGE_CHARS,
    NOTES,
    Stack,
)
from obs._stacks import render
from obs.errors import type_name
from obs.model import TraceContext
from obs.testing import MemoryExporter
from obs.trace import SpanReader, Tracer
from obs.trace._exceptions import MARK, exception_event


class Failed(Exception):
    pass


def caught(function, *args):
    try:
        function(*args)
    except BaseException as error:
        return error
    raise AssertionError


def stack_of(error, **limits):
    """Give the stack of an exception that ended a span, as a record has it."""
    memory = MemoryExporter()
    limits = Limits(**({"value_chars": 60_000} | limits))
    tel = Obs("x", exporters=[memory], runtime=False, strict=True, limits=limits)
    with tel.start(), tel.span("a") as span:
        span.fail(error)
    (event,) = memory.spans[0].events
    return event.attributes["exception.stacktrace"]


def printed(error):
    """Give what Python prints, without what it asks foreign objects for."""
    text = "".join(traceback.format_exception(error))
    return re.sub(r"\. Did you .*", "", text)


# --- the event --------------------------------------------------------------------------


def test_an_exception_is_an_event_of_its_span(tel, memory, clock):
    def work():
        clock.advance(1)
        raise Failed("no money")

    with pytest.raises(Failed), tel.span("a"):
        work()
    (record,) = memory.spans
    (event,) = record.events
    assert (event.name, event.time_ns) == ("exception", record.end_ns)
    assert list(event.attributes) == [
        "exception.type",
        "exception.message",
        "exception.stacktrace",
    ]
    assert event.attributes["exception.type"] == f"{__name__}.Failed"
    assert event.attributes["exception.message"] == "no money"
    stack = event.attributes["exception.stacktrace"]
    assert stack.startswith("Traceback (most recent call last):\n")
    assert '    raise Failed("no money")\n' in stack
    assert stack.endswith(f"{__name__}.Failed: no money\n")
    assert (record.status, record.status_message) == ("error", "no money")
    assert (record.outcome, record.error_type) == ("error", "Failed")


class Outer:
    class Inner(Exception):
        pass


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (ValueError, "ValueError"),
        (Failed, f"{__name__}.Failed"),
        (Outer.Inner, f"{__name__}.Outer.Inner"),
        (type("NoModule", (Exception,), {"__module__": None}), "NoModule"),
        (type("OddModule", (Exception,), {"__module__": 5}), "OddModule"),
    ],
)
def test_the_type_is_named_with_its_module(error, name, tel, memory):
    with tel.span("a") as span:
        span.fail(error())
    assert memory.spans[0].events[0].attributes["exception.type"] == name


def test_a_class_of_no_module(tel, memory):
    namespace = {"__builtins__": {"type": type, "Exception": Exception}}
    exec("kind = type('Bare', (Exception,), {})", namespace)
    assert not hasattr(namespace["kind"], "__module__")
    with tel.span("a") as span:
        span.fail(namespace["kind"]("x"))
    attributes = memory.spans[0].events[0].attributes
    assert attributes["exception.type"] == "Bare"
    assert attributes["exception.stacktrace"].endswith("Bare: x\n")


@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt, SystemExit, GeneratorExit, type("Cancelled", (OSError,), {})],
)
def test_what_is_no_failure_is_no_event(error, tel, memory):
    with pytest.raises(error), tel.span("a"):
        raise error
    assert memory.spans[0].events == []
    assert memory.spans[0].status_message == ""


@pytest.mark.parametrize("length", [MESSAGE_CHARS, MESSAGE_CHARS + 1, 10_000_000])
def test_a_long_message_is_cut(length, tel, memory):
    with tel.span("a") as span:
        span.fail(ValueError("m" * length))
    (record,) = memory.spans
    is_cut = length > MESSAGE_CHARS
    message = "m" * (MESSAGE_CHARS - is_cut) + "…" * is_cut
    attributes = record.events[0].attributes
    assert record.status_message == attributes["exception.message"] == message
    assert attributes["exception.stacktrace"] == f"ValueError: {message}\n"


# --- once in a trace --------------------------------------------------------------------


@pytest.mark.parametrize("depth", [2, 5])
def test_the_innermost_span_has_the_event_and_all_have_the_outcome(depth, tel, memory):
    def nest(left):
        with tel.span(f"span {left}"):
            if not left:
                raise Failed("x")
            nest(left - 1)

    with pytest.raises(Failed):
        nest(depth)
    assert [len(record.events) for record in memory.spans] == [1] + [0] * depth
    for record in memory.spans:
        assert (record.status, record.status_message) == ("error", "x")
        assert (record.outcome, record.error_type) == ("error", "Failed")


def test_an_exception_that_was_noted_and_then_ends_the_block_is_one_event(tel, memory):
    error = Failed("x")

    def work(span):
        span.fail(error)
        span.fail(error)
        raise error

    with pytest.raises(Failed), tel.span("a") as span:
        work(span)
    assert len(memory.spans[0].events) == 1


def test_the_same_exception_in_another_trace_is_recorded_again(tel, memory):
    error = Failed("x")
    for _ in range(3):
        with pytest.raises(Failed), tel.span("outer"), tel.span("inner"):
            raise error
    assert [len(record.events) for record in memory.spans] == [1, 0] * 3


def test_traces_that_take_turns_with_an_exception_record_it_each_time(tel, memory):
    error = Failed("x")
    for trace in (0xA, 0xB, 0xA):
        parent = TraceContext(trace, 0xC, sampled=True, remote=True)
        with tel.span("a", parent=parent) as span:
            span.fail(error)
    assert [len(record.events) for record in memory.spans] == [1, 1, 1]


def test_two_exceptions_of_a_trace_are_two_events(tel, memory):
    def work():
        try:
            with tel.span("inner"):
                raise Failed("x")
        except Failed as error:
            raise KeyError("y") from error

    with pytest.raises(KeyError), tel.span("outer"):
        work()
    inner, outer = memory.spans
    assert len(inner.events) == len(outer.events) == 1
    assert outer.events[0].attributes["exception.message"] == "'y'"
    assert "Failed: x" in outer.events[0].attributes["exception.stacktrace"]


def test_an_exception_where_another_was_before_is_recorded(tel, memory):
    addresses = set()
    with tel.span("outer"):
        for _ in range(200):
            error = Failed("x")
            addresses.add(id(error))
            with tel.span("a") as span:
                span.fail(error)
            del error
    events = [len(record.events) for record in memory.spans[:-1]]
    assert events == [1] * 200
    assert len(addresses) < 200


def test_an_exception_of_one_instance_is_not_recorded_by_another_in_the_same_trace():
    one, other = MemoryExporter(), MemoryExporter()
    first = Obs("x", exporters=[one], runtime=False, strict=True)
    second = Obs("y", exporters=[other], runtime=False, strict=True)
    first.start()
    second.start()
    with pytest.raises(Failed), first.span("a"), second.span("b"):
        raise Failed("x")
    assert (len(one.spans[0].events), len(other.spans[0].events)) == (0, 1)
    assert one.spans[0].error_type == "Failed"


# --- as Python prints it ----------------------------------------------------------------


def plain():
    raise KeyError("a")


def deeper(depth, function=plain):
    if depth:
        return deeper(depth - 1, function)
    return function()


def cause():
    try:
        deeper(2)
    except KeyError as error:
        raise OSError(2, "x") from error


def context():
    try:
        cause()
    except OSError:
        raise Failed("in the handler")  # noqa: B904


def suppressed():
    try:
        plain()
    except KeyError:
        raise Failed("x") from None


def notes():
    error = ValueError("many\nlines")
    error.add_note("one\ntwo")
    error.add_note("é\ud800")
    raise error


def empty():
    raise TimeoutError


def over_several_lines():
    numbers, zero = [1], 0
    return numbers[0] + numbers[0] / zero


def cycle():
    one, other = Failed("one"), Failed("other")
    one.__cause__, other.__cause__, one.__context__ = other, one, other
    raise one


def cycle_of_contexts():
    one, other = Failed("one"), Failed("other")
    one.__context__, other.__context__ = other, one
    raise one


def cause_of_itself():
    error = Failed("one")
    error.__cause__ = error
    raise error


def syntax():
    compile("a = (1,\nb 2", "<x>", "exec")


def indentation():
    compile("if x:\nb", "<x>", "exec")


def syntax_without_place():
    raise SyntaxError("x")


def unicode():
    "\ud800".encode()


def group():
    inner = ExceptionGroup("inner", [caught(deeper, 1), caught(notes)])
    try:
        plain()
    except KeyError:
        raise BaseExceptionGroup("outer", [caught(cause), inner, KeyboardInterrupt()])  # noqa: B904


def wide(n):
    def raises():
        raise ExceptionGroup("wide", [caught(deeper, 0) for _ in range(n)])

    return raises


def deep_group():
    error = ValueError("x")
    for level in range(20):
        error = ExceptionGroup(f"level {level}", [error])
    raise error


def group_of_a_member_and_its_context():
    one, other = caught(plain), caught(deeper, 1)
    other.__context__ = one
    raise ExceptionGroup("g", [one, other])


def group_with_context():
    try:
        group()
    except BaseExceptionGroup:
        raise Failed("after")  # noqa: B904


def recursion():
    recursion()


def missing_attribute():
    return [].appendd


def missing_name():
    return printt  # noqa: F821


def missing_import():
    from os import pathh  # noqa: F401


ALL = [
    *(plain, cause, context, suppressed, notes, empty, over_several_lines),
    *(cycle, cycle_of_contexts, cause_of_itself),
    *(syntax, indentation, syntax_without_place, unicode),
    *(group, wide(MEMBERS), wide(MEMBERS + 1), wide(MEMBERS + 9), deep_group),
    *(group_of_a_member_and_its_context, group_with_context),
    *(missing_attribute, missing_name, missing_import),
]


@pytest.mark.parametrize("function", ALL, ids=lambda it: it.__qualname__)
def test_the_stack_is_what_python_prints(function):
    error = caught(deeper, 3, function)
    expected = printed(error)
    assert render(Stack(error)) == expected
    if isinstance(error, Exception):
        assert stack_of(error) == expected.replace("\ud800", "?")


def test_an_exception_that_was_not_raised_has_no_frames():
    assert render(Stack(Failed("x"))) == f"{__name__}.Failed: x\n"


def test_code_that_is_in_no_file_is_shown_without_lines():
    error = caught(exec, "def f():\n    1 / 0\nf()")
    text = render(Stack(error))
    assert text == printed(error)
    assert 'File "<string>", line 2, in f' in text


def test_the_innermost_frames_are_kept():
    error = caught(deeper, 500)
    lines = printed(error).splitlines(keepends=True)
    found = render(Stack(error)).splitlines(keepends=True)
    assert found[-4:] == lines[-4:]
    assert len(Stack(error).last.frames) == FRAMES
    # The ones left out are the outermost; Python folds what repeats.
    assert f"line repeated {FRAMES - 2 - 3} more times" in "".join(found)
    assert "in caught" not in "".join(found)
    few = caught(deeper, FRAMES - 3)
    assert len(Stack(few).last.frames) == FRAMES
    assert "in caught" in render(Stack(few))


def test_a_recursion_error_is_recorded(tel, memory):
    with pytest.raises(RecursionError), tel.span("a"):
        recursion()
    (event,) = memory.spans[0].events
    assert event.attributes["exception.type"] == "RecursionError"
    stack = event.attributes["exception.stacktrace"]
    assert stack.startswith("Traceback (most recent call last):\n")
    assert "in recursion" in stack
    assert stack.rstrip().splitlines()[-1].startswith("RecursionError: maximum ")


def test_a_recursion_through_spans_ends_as_it_would_without(tel, memory):
    def recurse():
        with tel.span("a"):
            recurse()

    with tel.span("outer") as outer:
        with pytest.raises(RecursionError):
            recurse()
        assert tel.trace.current_span() is outer
    assert memory.spans[-1].outcome == "ok"
    assert {record.error_type for record in memory.spans[:-1]} == {"RecursionError"}


def chain(n):
    error = None
    for index in range(n):
        after = Failed(f"number {index}.")
        after.__context__ = error
        error = after
    return error


@pytest.mark.parametrize("n", [ERRORS, ERRORS + 1, 20_000])
def test_of_a_long_chain_the_newest_are_kept(n):
    text = render(Stack(chain(n)))
    assert text.count("Failed: number ") == min(n, ERRORS)
    assert text.endswith(f"Failed: number {n - 1}.\n")
    assert text.startswith(f"{__name__}.Failed: number {max(n - ERRORS, 0)}.\n")


def test_of_a_group_of_many_groups_as_much_is_kept_as_fits():
    error = Failed("leaf")
    for _ in range(10):
        error = ExceptionGroup("g", [error] * 10)
    text = render(Stack(error))
    assert text.count("leaf") + text.count("ExceptionGroup: g") <= ERRORS
    assert "(10 exceptions are not shown)" in text


@pytest.mark.parametrize("n", [NOTES, NOTES + 1])
def test_as_many_notes_are_kept(n):
    error = ValueError("x")
    for index in range(n):
        error.add_note(f"note {index}.")
    expected = "".join(f"note {index}.\n" for index in range(NOTES))
    assert render(Stack(error)) == f"ValueError: x\n{expected}"


@pytest.mark.parametrize("more", [0, 1])
def test_a_long_note_is_cut(more):
    error = ValueError("x")
    error.add_note("n" * (MESSAGE_CHARS + more))
    note = "n" * (MESSAGE_CHARS - more) + "…" * more
    assert render(Stack(error)) == f"ValueError: x\n{note}\n"


def test_a_stack_longer_than_value_chars_keeps_its_end():
    error = caught(deeper, 2, context)
    whole = printed(error)
    assert stack_of(error, value_chars=len(whole)) == whole
    error = caught(deeper, 2, context)
    shorter = stack_of(error, value_chars=300)
    assert shorter == "…" + printed(error)[-299:]


# --- what is kept alive -----------------------------------------------------------------


class Witness:
    pass


def raising_beside(witness, extra=None):
    local = witness  # noqa: F841
    raise Failed(extra)


@pytest.mark.parametrize("how", ["plain", "cause", "group", "syntax"])
def test_neither_the_exception_nor_its_frames_are_kept_alive(how):
    ended = []
    tracer = Tracer(sink=ended.append)

    def work():
        witness, kept = Witness(), Failed if how != "syntax" else SyntaxError
        with tracer.span("a"):
            if how == "plain":
                raising_beside(witness)
            try:
                raising_beside(witness)
            except Failed as error:
                if how == "group":
                    raise ExceptionGroup("g", [error])  # noqa: B904
                raise kept("x") from error

    died = []
    gc_was_on = gc.isenabled()
    gc.disable()
    try:
        try:
            work()
        except BaseException as error:
            frame = error.__traceback__.tb_next.tb_frame
            died.append(weakref.ref(frame.f_locals["witness"]))
            if type(error) is Failed:
                died.append(weakref.ref(error))
            del frame
        assert [it() for it in died] == [None] * (1 + (how in {"plain", "cause"}))
    finally:
        if gc_was_on:
            gc.enable()
    (event,) = ended[0].details.events
    stack = render(event.attributes["exception.stacktrace"])
    assert "raising_beside" in stack
    assert "in work" in stack


def test_recording_leaves_nothing_for_the_collector():
    tracer = Tracer()
    read = SpanReader(tracer.limits, tracer.diag).read
    tracer.sink = lambda span: read(span) and None

    def run(span):
        for function in (plain, context, syntax, wide(3), over_several_lines):
            try:
                with span("outer"), span("inner"):
                    function()
            except Exception:
                pass

    def left_by(span):
        run(span)
        gc.collect()
        run(span)
        return gc.collect()

    was_enabled = gc.isenabled()
    gc.disable()
    try:
        assert left_by(tracer.span) == left_by(contextlib.nullcontext)
    finally:
        if was_enabled:
            gc.enable()


# --- when source files are read ---------------------------------------------------------


def test_no_source_file_is_touched_before_the_stack_is_rendered(monkeypatch):
    ended, touched = [], []
    tracer = Tracer(sink=ended.append)
    linecache.clearcache()

    def note(name, function):
        def noted(*args, **kwargs):
            touched.append(name)
            return function(*args, **kwargs)

        return noted

    with monkeypatch.context() as patch:
        for module, name in (
            (builtins, "open"),
            (os, "stat"),
            (linecache, "getline"),
            (linecache, "getlines"),
            (linecache, "updatecache"),
            (linecache, "checkcache"),
        ):
            patch.setattr(module, name, note(name, getattr(module, name)))
        for function in (plain, context, wide(2), syntax, missing_attribute):
            error = None
            try:
                with tracer.span("a"):
                    function()
            except BaseException as raised:
                error = raised
            assert error is not None
        during = list(touched)
        texts = [
            render(event.attributes["exception.stacktrace"])
            for span in ended
            for event in span.details.events
        ]
        after = list(touched)
    assert during == []
    assert after != []
    assert len(texts) == 5
    assert '    raise KeyError("a")\n' in texts[0]


def test_source_that_a_loader_gives_is_shown():
    class Loader:
        def get_source(self, name):
            return "def f():\n    1 / 0  # from the loader\n"

    namespace = {"__name__": "from_loader", "__loader__": Loader()}
    code = compile(
        "def f():\n    1 / 0  # from the loader\n", "/no/such/zip/m.py", "exec"
    )
    exec(code, namespace)
    error = caught(namespace["f"])
    assert "1 / 0  # from the loader" in render(Stack(error))


# --- exceptions that do what they like --------------------------------------------------

RAISED = [ValueError, RecursionError, SystemExit, MemoryError]


def raising(error):
    def method(self, *args):
        raise error

    return method


def ends_a_span(error):
    """Let an exception end two nested spans; give the records, innermost first."""
    memory = MemoryExporter()
    limits = Limits(value_chars=60_000)
    tel = Obs("x", exporters=[memory], runtime=False, strict=True, limits=limits)
    raised = None
    with tel.start():
        try:
            with tel.span("outer"), tel.span("inner"):
                raise error
        except BaseException as it:
            raised = it
    # Not the exceptions themselves: pytest shows them, and some are hostile.
    is_same = raised is error
    raised_name = type_name(raised)
    del error, raised
    assert is_same, f"a {raised_name} came out"
    assert (len(memory.spans)) == 2
    return memory.spans


def recorded_twice(error):
    """Record an exception as two spans of a trace do; give the event's attributes."""
    try:
        raise error
    except BaseException:
        event, message = exception_event(error, 1, 2)
        assert exception_event(error, 1, 2) == (None, message)
    return event.attributes


@pytest.mark.parametrize("raised", RAISED)
def test_an_exception_whose_str_raises(raised):
    kind = type("Hostile", (Exception,), {"__str__": raising(raised)})
    inner, outer = ends_a_span(kind("x"))
    text = "<str() of Hostile failed>"
    assert inner.status_message == outer.status_message == text
    assert inner.events[0].attributes["exception.message"] == text
    stack = inner.events[0].attributes["exception.stacktrace"]
    assert stack.endswith(f"Hostile: {text}\n")
    assert "ends_a_span" in stack
    assert outer.events == []


def test_an_exception_whose_str_is_no_plain_text():
    class Str(str):
        __slots__ = ()

        def __len__(self):
            raise ValueError

    class Odd(Exception):
        def __str__(self):
            return Str("odd")

    inner, _ = ends_a_span(Odd())
    assert type(inner.status_message) is str
    assert inner.status_message == "odd"


@pytest.mark.parametrize("raised", RAISED)
@pytest.mark.parametrize(
    "name",
    [
        *("__notes__", "__cause__", "__context__", "__suppress_context__"),
        *("__traceback__", "__dict__", "__class__", "args", "with_traceback"),
    ],
)
def test_properties_that_raise_are_not_asked(name, raised):
    kind = type("Hostile", (Exception,), {name: property(raising(raised))})
    try:
        plain()
    except KeyError:
        found = recorded_twice(kind("x"))
    stack = render(found["exception.stacktrace"])
    assert "KeyError: 'a'" in stack
    assert "recorded_twice" in stack
    assert stack.endswith("Hostile: x\n")
    assert found["exception.message"] == "x"


@pytest.mark.parametrize("raised", RAISED)
@pytest.mark.parametrize("name", ["__setattr__", "__getattribute__", "__getattr__"])
def test_a_class_that_forbids_attributes(name, raised):
    kind = type("Hostile", (Exception,), {name: raising(raised)})
    found = recorded_twice(kind("x"))
    assert render(found["exception.stacktrace"]).endswith("Hostile: x\n")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[
            (f"__{it}__", property(raising(OSError)))
            for it in ("notes", "cause", "dict")
        ],
        *[(f"__{it}__", raising(OSError)) for it in ("setattr", "getattr", "str")],
    ],
)
def test_a_hostile_exception_ends_spans_and_goes_on(name, value):
    inner, outer = ends_a_span(type("Hostile", (Exception,), {name: value})("x"))
    assert (len(inner.events), len(outer.events)) == (1, 0)
    assert inner.error_type == outer.error_type == "Hostile"
    assert inner.status_message == outer.status_message != ""


def test_a_class_with_slots():
    class Slotted(Exception):
        __slots__ = ("code",)

    inner, outer = ends_a_span(Slotted("x"))
    assert (len(inner.events), len(outer.events)) == (1, 0)


class LyingMembers(ExceptionGroup):
    @property
    def exceptions(self):
        raise SystemExit


def test_a_group_that_lies_about_its_members():
    inner, _ = ends_a_span(LyingMembers("g", [Failed("member")]))
    assert "Failed: member" in inner.events[0].attributes["exception.stacktrace"]


@pytest.mark.parametrize(
    "notes",
    [5, "text", object(), {"a": 1}, type("List", (list,), {"__iter__": None})()],
)
def test_notes_that_are_no_list_are_left_out(notes):
    error = Failed("x")
    error.__notes__ = notes
    assert render(Stack(error)) == f"{__name__}.Failed: x\n"


@pytest.mark.parametrize("raised", RAISED)
def test_notes_that_are_no_text(raised):
    hostile = type("Hostile", (), {"__str__": raising(raised)})()
    error = Failed("x")
    error.__notes__ = [5, hostile, "last"]
    assert render(Stack(error)) == (
        f"{__name__}.Failed: x\n5\n<note str() failed>\nlast\n"
    )


def test_an_interrupt_is_not_swallowed(tel):
    kind = type("Hostile", (Exception,), {"__str__": raising(KeyboardInterrupt)})
    with pytest.raises(KeyboardInterrupt), tel.span("a") as span:
        span.fail(kind())


@pytest.mark.parametrize("field", ["msg", "filename", "lineno", "offset", "text"])
@pytest.mark.parametrize("value", [None, 5, "x", -1, object(), [], 10**30])
def test_syntax_errors_of_ones_own_making(field, value):
    error = SyntaxError("m", ("f", 1, 2, "a b c", 1, 3))
    setattr(error, field, value)
    text = render(Stack(error))
    assert "SyntaxError" in text
    inner, _ = ends_a_span(error)
    assert "ends_a_span" in inner.events[0].attributes["exception.stacktrace"]


def test_a_hostile_metaclass():
    class Meta(type):
        def __getattribute__(cls, name):
            if name in {"__qualname__", "__module__", "__name__"}:
                raise ValueError
            return super().__getattribute__(name)

    error = Meta("Odd", (Exception,), {})("x")
    with_stack, _ = ends_a_span(error)
    attributes = with_stack.events[0].attributes
    assert attributes["exception.type"].endswith("Odd")
    assert attributes["exception.stacktrace"].rstrip().endswith("Odd: x")


class Watched:
    """An object that counts how often it is asked for anything."""

    asked = 0

    def __dir__(self):
        Watched.asked += 1
        return ["attribute"]

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        Watched.asked += 1
        raise AttributeError(name, name=name, obj=self)


class Method(Watched):
    def work(self):
        return undefined_nam  # noqa: F821


@pytest.mark.parametrize(
    ("work", "asked"),
    [(lambda: Watched().attribut, 1), (lambda: Method().work(), 0)],
    ids=["AttributeError", "NameError"],
)
def test_no_object_is_asked_for_suggestions(work, asked):
    """From Python 3.12 on, ``TracebackException`` calls ``dir`` and ``hasattr``."""
    Watched.asked = 0
    error = caught(work)
    assert Watched.asked == asked
    render(Stack(error))
    ends_a_span(error)
    assert Watched.asked == asked


def test_nothing_is_imported_for_suggestions(monkeypatch):
    error = caught(missing_import)
    error.name = "obs_no_such_module"
    asked = []
    found = builtins.__import__

    def note(name, *args, **kwargs):
        asked.append(name)
        return found(name, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(builtins, "__import__", note)
        text = render(Stack(error))
    assert "obs_no_such_module" not in asked
    assert "ImportError: cannot import name 'pathh'" in text


# --- the mark ---------------------------------------------------------------------------


def test_all_that_an_exception_bears_is_one_mark(tel):
    error = Failed("x")
    with tel.span("a") as span:
        span.fail(error)
    assert vars(error) == {MARK: span.context.trace}
    assert (str(error), repr(error), error.args) == ("x", "Failed('x')", ("x",))


def test_what_was_not_recorded_bears_no_mark(tel):
    error = SystemExit()
    with pytest.raises(SystemExit), tel.span("a"):
        raise error
    assert vars(error) == {}


# --- any --------------------------------------------------------------------------------

messages = st.text(st.characters(exclude_categories=()), max_size=20)


@st.composite
def errors(draw, depth=3):
    kinds = [Failed, ValueError, KeyError, OSError, SyntaxError, NameError]
    error = draw(st.sampled_from(kinds))(draw(messages))
    if depth and draw(st.booleans()):
        members = draw(st.lists(errors(depth - 1), min_size=1, max_size=3))
        error = ExceptionGroup(draw(messages), members)
    if depth and draw(st.booleans()):
        error.__cause__ = draw(errors(depth - 1))
    if depth and draw(st.booleans()):
        error.__context__ = draw(errors(depth - 1))
    if draw(st.booleans()):
        error.__suppress_context__ = draw(st.booleans())
    for note in draw(st.lists(messages, max_size=2)):
        error.add_note(note)
    if draw(st.booleans()):

        def raises():
            raise error

        caught(deeper, draw(st.integers(0, 3)), raises)
    return error


def size_of(error, seen):
    if error is None or id(error) in seen:
        return 0
    seen.add(id(error))
    members = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    before = (error.__cause__, error.__context__, *members)
    return 1 + sum(size_of(it, seen) for it in before)


@settings(max_examples=60)
@given(errors())
def test_any_exception_is_rendered_as_python_prints_it(error):
    if size_of(error, set()) < ERRORS:
        expected = "".join(traceback.format_exception(error))
        assert render(Stack(error)) == expected


def test_the_reader_renders_and_the_span_does_not(monkeypatch):
    ended = []
    tracer = Tracer(sink=ended.append)
    rendered = []
    monkeypatch.setattr(
        _stacks, "render", lambda stack: rendered.append(1) or render(stack)
    )
    with pytest.raises(KeyError), tracer.span("a"):
        plain()
    assert rendered == []
    record = SpanReader(tracer.limits, tracer.diag).read(ended[0])
    assert rendered == [1]
    stack = record.events[0].attributes["exception.stacktrace"]
    assert stack.endswith("KeyError: 'a'\n")
    assert sys.exc_info() == (None, None, None)
