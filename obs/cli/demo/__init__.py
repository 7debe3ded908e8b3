"""``obs demo``: a shop of two services to look at, and to read as an example.

    _shop.py     the front end, and
    _orders.py   the service behind it: how a service uses obs
    _serve.py    a request as a span in the trace of its caller
    _logs.py     which logs are shown
    _run.py      ports, start and end
    _traffic.py  the customers
    _report.py   the table at the end, read from the instruments
    _slowest.py  the trace below it: an exporter of our own
    _http.py     HTTP, and
    _chance.py   chance: nothing about obs in these two

An application writes ``from obs import Obs``. These modules are part of obs itself, where
imports name the module.
"""

from obs.cli.demo._command import add_command

__all__ = ["add_command"]
