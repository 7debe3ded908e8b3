"""Stacks of exceptions as text; loaded where somebody is made that needs it (2 ms)."""

import ast  # noqa: F401 - traceback imports it when it renders
import tokenize  # noqa: F401 - so does linecache, since Python 3.13
from itertools import islice
from traceback import FrameSummary, StackSummary, TracebackException, walk_stack
from types import FrameType
from typing import Any

from obs._exceptions import FRAMES, Frame, Shot, Stack, type_name_of
from obs._foreign import is_the_hosts


class Frames(StackSummary):
    """The frames of a stack; what Python prints of each is kept for the next one.

    That is most of what rendering costs (it reads sources, and parses lines): of a failure
    that comes again and again a sixth is left.
    """

    def format_frame_summary(self, frame_summary: FrameSummary, **more: Any) -> str:
        """Give what Python prints of a frame."""
        it: Any = frame_summary
        key = it.filename, it.name, it.lineno, it.end_lineno, it.colno, it.end_colno
        text = _printed_frames.get(key)
        if text is None:
            text = super().format_frame_summary(frame_summary, **more)
            if not it.filename.startswith("<"):  # other code may have this name, too
                if len(_printed_frames) >= _MOST_FRAMES:
                    _printed_frames.clear()
                _printed_frames[key] = text
        return text


_printed_frames: dict[tuple[Any, ...], str] = {}
_MOST_FRAMES = 2_048


def render(stack: Stack) -> str:
    """Give the text that Python would print; reads source files."""
    try:
        return "".join(_printed(stack.last).format())
    except BaseException as raised:  # of a metaclass; near the recursion limit
        if is_the_hosts(raised):
            raise
        return f"{type_name_of(stack.last.kind)}: {stack.last.message}\n"


def render_calls(frame: FrameType | None) -> str:
    """Give the text that ``logging`` has of a frame and those that called it."""
    frames = StackSummary.extract(islice(walk_stack(frame), FRAMES))
    frames.reverse()
    return "Stack (most recent call last):\n" + "".join(frames.format()).rstrip("\n")


def _printed(shot: Shot) -> TracebackException:
    """Give what prints it, made from a stand-in."""
    stand_in = shot.syntax or Exception(shot.message)
    printed = TracebackException(shot.kind, stand_in, None)
    printed.stack = Frames([_summary(it) for it in shot.frames])
    printed.__notes__ = shot.notes or None
    before = None if shot.before is None else _printed(shot.before)
    if shot.is_cause:
        printed.__cause__ = before
    else:
        printed.__context__ = before
    if shot.members:
        members = [_printed(member) for member in shot.members]
        # Python prints how many there are beyond the first ones.
        printed.exceptions = members + members[-1:] * shot.more
    return printed


def _summary(frame: Frame) -> FrameSummary:
    code, index, line = frame
    at = next(islice(code.co_positions(), index // 2, None), (None,) * 4)
    return FrameSummary(
        code.co_filename,
        line,
        code.co_name,
        lookup_line=False,
        end_lineno=at[1],
        colno=at[2],
        end_colno=at[3],
    )
