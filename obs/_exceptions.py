"""An exception, captured at once and rendered later.

What is read of an exception is what the interpreter keeps, by ``BaseException``'s own
descriptors: a class may have properties by these names. Of foreign code only ``__str__``
runs.
"""

from __future__ import annotations

import sys
from collections import deque
from types import CodeType
from typing import Any, TypeAlias

from obs._foreign import is_the_hosts
from obs.errors import type_name

FRAMES = 64
"""How many frames of a stack are kept, the innermost."""
ERRORS = 64
"""How many exceptions are kept of one that has causes, contexts or members."""
MEMBERS = 15
"""How many exceptions of a group are kept: what Python prints."""
NOTES = 16
"""How many notes of an exception are kept."""
MESSAGE_CHARS = 1_024
"""How much of a message or note is kept."""

Frame: TypeAlias = tuple[CodeType, int, int]
"""The code, the index of the instruction in it, the line."""

_DICT_OF = BaseException.__dict__["__dict__"].__get__
_TRACEBACK_OF = BaseException.__dict__["__traceback__"].__get__
_CAUSE_OF = BaseException.__dict__["__cause__"].__get__
_CONTEXT_OF = BaseException.__dict__["__context__"].__get__
_IS_SUPPRESSED = BaseException.__dict__["__suppress_context__"].__get__
_MEMBERS_OF = BaseExceptionGroup.__dict__["exceptions"].__get__
_SYNTAX = [
    (SyntaxError.__dict__[name].__get__, str if name in {"filename", "text"} else int)
    for name in ("filename", "lineno", "offset", "text", "end_lineno", "end_offset")
]
_MOST_COLUMNS = 1_000_000
_SYNTAX_MSG_OF = SyntaxError.__dict__["msg"].__get__
_MODULE_OF = type.__dict__["__module__"].__get__
_QUALNAME_OF = type.__dict__["__qualname__"].__get__


class Stack:
    """A stack with causes, groups and notes, to be rendered where nobody waits for it.

    Capturing reads no source file and keeps neither the exception nor its frames alive.

    Attributes:
        last: The exception itself; the others are reached from it.
    """

    __slots__ = ("last",)

    # Not TracebackException at once: it asks the file system about each source file, and
    # foreign objects about their attributes to suggest another name.

    def __init__(self, error: BaseException) -> None:
        self.last = Shot(error)
        found = [(self.last, error)]
        seen = {id(error)}
        for shot, one in found:  # it grows meanwhile
            before = _before(shot, one, seen)
            if before is not None and len(found) < ERRORS:
                seen.add(id(before))
                shot.before = Shot(before)
                found.append((shot.before, before))
            members = _members(one)
            if members and len(found) + min(len(members), MEMBERS) <= ERRORS:
                shot.members = [Shot(member) for member in members[:MEMBERS]]
                shot.more = len(members) - len(shot.members)
                found += zip(shot.members, members, strict=False)
                seen.update([id(member) for member in members[:MEMBERS]])
            elif members:
                shot.notes.append(f"({len(members)} exceptions are not shown)")


class Shot:
    """What Python prints of one exception, by itself.

    Attributes:
        kind: Its class.
        message: What it says.
        notes: Its notes.
        frames: Where it was raised, and who had called.
        syntax: A copy of a SyntaxError, of which Python prints more.
        before: Its cause or context.
        is_cause: Which of them.
        members: A group's exceptions.
        more: How many more there are.
    """

    __slots__ = (
        "before",
        "frames",
        "is_cause",
        "kind",
        "members",
        "message",
        "more",
        "notes",
        "syntax",
    )

    def __init__(self, error: BaseException) -> None:
        self.kind = type(error)
        self.message = message_of(error)
        self.notes = _notes_of(error)
        self.frames = _frames_of(error)
        self.syntax = _syntax_of(error)
        self.before: Shot | None = None
        self.is_cause = False
        self.members: list[Shot] = []
        self.more = 0


def described(error: BaseException, message: str) -> dict[str, Any]:
    """Give what is told of an exception: its type, its message and its ``Stack``.

    Source: OpenTelemetry semantic conventions 1.44, "Exception attributes".
    """
    found: dict[str, Any] = {
        "exception.type": type_name_of(type(error)),
        "exception.message": message,
    }
    try:
        found["exception.stacktrace"] = Stack(error)
    except BaseException as raised:  # near the recursion limit
        if is_the_hosts(raised):
            raise
        found["exception.stacktrace"] = ""
    return found


def marks_of(error: BaseException) -> dict[str, Any] | None:
    """Give where a note can be left on an exception for ourselves, if there is a place."""
    marks = _DICT_OF(error)
    # One of another class may do with it what it likes.
    return marks if type(marks) is dict else None


def type_name_of(kind: type[BaseException]) -> str:
    """Give the name of a class with its module, as Python prints it."""
    name = str(_QUALNAME_OF(kind))
    try:
        module = _MODULE_OF(kind)
    except AttributeError:  # a class may delete it
        return name
    known = type(module) is str and module != "builtins"
    return f"{module}.{name}" if known else name


def message_of(error: BaseException) -> str:
    """Give what an exception says, bounded, whatever it does when it is asked."""
    return _text_of(error, f"<str() of {type_name(error)} failed>")


def _text_of(value: object, otherwise: str) -> str:
    try:
        # str.__str__: what a foreign __str__ gives may be of a class of its own.
        text = str.__str__(str(value))
    except BaseException as raised:
        if is_the_hosts(raised):
            raise
        return otherwise
    return text if len(text) <= MESSAGE_CHARS else text[: MESSAGE_CHARS - 1] + "…"


def _notes_of(error: BaseException) -> list[str]:
    notes = _DICT_OF(error).get("__notes__")
    if type(notes) is not list and type(notes) is not tuple:
        return []
    return [_text_of(note, "<note str() failed>") for note in notes[:NOTES]]


def _frames_of(error: BaseException) -> list[Frame]:
    frames: deque[Frame] = deque(maxlen=FRAMES)
    traceback = _TRACEBACK_OF(error)
    linecache: Any = sys.modules.get("linecache")  # there as soon as somebody renders
    while traceback is not None:
        frame = traceback.tb_frame
        frames.append((frame.f_code, traceback.tb_lasti, traceback.tb_lineno))
        if linecache is not None:
            # For source that is in no file of its own (a zip): notes whom to ask for it.
            linecache.lazycache(frame.f_code.co_filename, frame.f_globals)
        traceback = traceback.tb_next
    return list(frames)


def _syntax_of(error: BaseException) -> SyntaxError | None:
    if not issubclass(type(error), SyntaxError):
        return None
    place: Any = tuple([_checked(get(error), kind) for get, kind in _SYNTAX])
    return SyntaxError(_text_of(_SYNTAX_MSG_OF(error), ""), place)


def _checked(value: Any, kind: type) -> Any:
    """Give a part of a SyntaxError's place, if Python can print it."""
    if type(value) is int:
        return value if kind is int and -1 <= value <= _MOST_COLUMNS else None
    return value if type(value) is kind else None


def _before(shot: Shot, error: BaseException, seen: set[int]) -> BaseException | None:
    """Give the exception that Python prints before this one, if it has not yet."""
    cause: BaseException | None = _CAUSE_OF(error)
    if cause is not None and id(cause) not in seen:
        shot.is_cause = True
        return cause
    context: BaseException | None = _CONTEXT_OF(error)
    is_new = not _IS_SUPPRESSED(error) and id(context) not in seen
    return context if is_new else None


def _members(error: BaseException) -> tuple[BaseException, ...]:
    is_group = issubclass(type(error), BaseExceptionGroup)
    return _MEMBERS_OF(error) if is_group else ()
