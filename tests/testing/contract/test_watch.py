"""What a thread opens, and calls that end or do not."""

import os
import socket
import subprocess
import sys
import threading
from time import monotonic

import pytest

from obs.testing.contract._watch import call_until, watch_opening


def open_a_socket():
    socket.socket().close()


def open_a_file():
    os.close(os.open(os.devnull, os.O_RDONLY))


def open_a_stream():
    with open(os.devnull):
        pass


def start_a_thread():
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


def start_a_process():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()


def ask_for_an_address():
    socket.getaddrinfo("127.0.0.1", 80)


@pytest.mark.parametrize(
    ("opening", "what"),
    [
        (open_a_socket, "a socket"),
        (open_a_file, "a file"),
        (open_a_stream, "a file"),
        (start_a_thread, "a thread"),
        (start_a_process, "a process"),
        (ask_for_an_address, "a look-up of an address"),
    ],
)
def test_what_this_thread_opens_is_noted(opening, what):
    with watch_opening() as opened:
        opening()
    assert opened[0] == what
    before = list(opened)
    opening()
    assert opened == before, "afterwards nothing is watched"


def test_what_other_threads_open_is_not_noted():
    thread = threading.Thread(target=open_a_socket)
    with watch_opening() as opened:
        call = thread.start
        opened.clear()
        call()
        thread.join()
    assert opened == ["a thread"]


def test_a_call_that_ends_in_time_gives_its_result():
    outcome = call_until(monotonic() + 5, lambda: 7)
    assert (outcome.result, outcome.error, outcome.is_late) == (7, None, False)


def test_whatever_a_call_raises_is_kept():
    outcome = call_until(monotonic() + 5, lambda: sys.exit(3))
    assert type(outcome.error) is SystemExit
    assert not outcome.is_late


def test_a_call_that_does_not_end_is_left_behind():
    event = threading.Event()
    outcome = call_until(monotonic(), event.wait)
    assert outcome.is_late
    event.set()
