"""What the kernel knows of a descriptor: how long a line may be, how much room there is."""

import contextlib
import io
import os
import select
import sys
from stat import S_ISFIFO, S_ISSOCK
from typing import Any

from obs._foreign import is_the_hosts

if sys.platform != "win32":
    import fcntl
    import termios

_UTF_8 = ("utf-8", "utf8")
_PAGE = 4096
_SPARE_PAGES = 4
"""For short lines of other threads that are on their way already."""


def descriptor_of(stream: Any) -> int:
    """Give the descriptor behind a file object, -1 where there is none."""
    try:
        fd = stream.fileno()
    except Exception as raised:  # foreign
        if is_the_hosts(raised):
            raise
        return -1
    return fd if type(fd) is int else -1


def duplicated(stream: Any) -> int:
    """Give a descriptor of our own to a file object's file, -1 where it has none.

    None has what encodes, compresses or encrypts on the way: past it, the file would be
    broken.
    """
    fd = descriptor_of(stream) if _is_plain(stream) else -1
    if fd < 0:
        return -1
    with contextlib.suppress(Exception):
        stream.flush()  # what it holds came first
    return os.dup(fd)


def _is_plain(stream: Any) -> bool:
    """Whether what is written to a file object gets to its descriptor as it is."""
    if type(stream) is io.TextIOWrapper:
        if stream.encoding.lower() not in _UTF_8:
            return False
        stream = stream.buffer
    if type(stream) is io.BufferedWriter:
        stream = stream.raw
    return type(stream) is io.FileIO


def at_once(fd: int) -> int:
    """Give how long a line may be for the kernel to keep it apart from others."""
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        return sys.maxsize  # writing will say what is wrong
    return select.PIPE_BUF if S_ISFIFO(mode) or S_ISSOCK(mode) else sys.maxsize


def pages(fd: int) -> int:
    """Give how many pages a pipe holds, 0 for what is none."""
    if sys.platform == "win32":
        return 0
    try:
        return fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ) // _PAGE
    except (OSError, AttributeError):
        return 0


def has_room(fd: int, size: int, most: int) -> bool:
    """Whether a pipe can take a text in one piece; if it never could, whether it is empty.

    Args:
        fd: The pipe.
        size: How long the text is.
        most: How many pages it holds in all; 0 for what is no pipe.
    """
    if not most or sys.platform == "win32":
        return True
    needed = -(-size // _PAGE) + _SPARE_PAGES
    count = bytearray(4)
    try:
        fcntl.ioctl(fd, termios.FIONREAD, count)
    except OSError:
        return True  # writing will say what is wrong
    used = int.from_bytes(count, sys.byteorder)
    # What a page has left stays empty where the next write does not fit into it: two pages
    # that follow each other hold one page's worth at least.
    return not used or needed <= most - 2 * used // _PAGE - 1


def poll(fd: int, seconds: float) -> None:
    """Wait until a descriptor takes something, at most so long."""
    waiting = select.poll()
    waiting.register(fd, select.POLLOUT)
    waiting.poll(max(seconds * 1000, 1))
