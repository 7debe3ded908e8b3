"""The demo, run beside a test."""

import re
import subprocess
import sys
from contextlib import contextmanager

SERVICES = ("shop", "orders")
PAGE = re.compile(r" +(\w+) +metrics http://127\.0\.0\.1:(\d+)/")


@contextmanager
def running_demo(*arguments, program=("-m", "obs.cli")):
    """Run a demo; give the process, and the ports of its two metrics pages by service.

    Args:
        arguments: What stands behind ``obs demo``.
        program: What Python is told to run.
    """
    command = [sys.executable, *program, "demo", "--metrics-port", "0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        ports = {}
        for line in process.stdout:
            if match := PAGE.match(line):
                ports[match[1]] = int(match[2])
            if len(ports) == len(SERVICES):
                break
        assert {*ports} == {*SERVICES}
        yield process, ports
    finally:
        process.terminate()
        process.communicate(timeout=20)
