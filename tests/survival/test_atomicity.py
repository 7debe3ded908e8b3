"""Why `+=` is exact: disassembled, nothing can come between its load and its store.

CPython looks for other threads, signals, asynchronous exceptions and (from 3.12 on) due
collections at its eval breaker, which it polls at RESUME, after calls, at backward jumps
and in a few more opcodes, by version; 3.11 collects where a tracked object is made. So a
region is atomic if it has none of those, and nothing that runs Python code. Here that is
proved the safe way round: it may hold nothing but opcodes that are known to do neither.
"""

import dis
import inspect
import sys
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

import pytest

from obs._tally import Tally
from obs.metrics._cells import SLOT_CELLS, default_cells
from obs.metrics._slots import SlotCounter, SlotGauge, SlotHistogram, SlotUpDown
from obs.metrics._threads import ThreadHistogram

pytestmark = [
    pytest.mark.skipif(
        sys.implementation.name != "cpython", reason="proves it for CPython"
    ),
    pytest.mark.skipif(
        not getattr(sys, "_is_gil_enabled", lambda: True)(), reason="needs the GIL"
    ),
]

HARMLESS = {
    # Neither polls nor, for exact numbers, slots, lists and dicts, runs Python code.
    *("LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_LOAD_FAST", "LOAD_FAST_BORROW"),
    *(
        "LOAD_FAST_BORROW_LOAD_FAST_BORROW",
        "LOAD_CONST",
        "LOAD_SMALL_INT",
        "STORE_FAST",
    ),
    *("LOAD_ATTR", "STORE_ATTR", "BINARY_OP", "BINARY_SUBSCR", "STORE_SUBSCR"),
    *("COPY", "SWAP", "NOP", "EXTENDED_ARG", "UNARY_NEGATIVE"),
}


def is_in_place(instruction: dis.Instruction) -> bool:
    return instruction.opname == "BINARY_OP" and instruction.argrepr.endswith("=")


def is_store(instruction: dis.Instruction) -> bool:
    return instruction.opname in ("STORE_ATTR", "STORE_SUBSCR")


def regions(function: Callable[..., Any]) -> list[list[dis.Instruction]]:
    """Give, for each line with `+=` or `-=`, all of it up to its last store."""
    lines: dict[int, list[dis.Instruction]] = {}
    line = 0
    for instruction in dis.get_instructions(function):
        positions = instruction.positions
        assert positions is not None
        line = positions.lineno or line
        lines.setdefault(line, []).append(instruction)
    found = []
    for instructions in lines.values():
        if any(is_in_place(instruction) for instruction in instructions):
            while not is_store(instructions[-1]):
                instructions.pop()
            found.append(instructions)
    return found


def harmful(region: list[dis.Instruction]) -> set[str]:
    """Give the opcodes that may let something in; a method's load comes with a call."""
    return {i.opname for i in region} - HARMLESS


@pytest.mark.parametrize(
    ("function", "stores"),
    [
        (SlotCounter.inc, 1),
        (SlotUpDown.inc, 1),
        (SlotUpDown.dec, 1),
        (SlotHistogram.observe, 2),
        (Tally.add, 1),
        (ThreadHistogram.observe, 2),
    ],
    ids=lambda it: getattr(it, "__qualname__", ""),
)
def test_nothing_comes_between_load_and_store(
    function: Callable[..., Any], stores: int
) -> None:
    found = regions(function)
    assert found
    for region in found:
        assert harmful(region) == set(), region
        assert sum(map(is_store, region)) == stores
    everywhere = sum(map(is_store, dis.get_instructions(function)))
    assert everywhere == stores * len(found), "it stores outside of them as well"


def test_a_gauge_is_set_by_one_store() -> None:
    stores = [i for i in dis.get_instructions(SlotGauge.set) if is_store(i)]
    loads = [
        i
        for i in dis.get_instructions(SlotGauge.set)
        if i.opname == "LOAD_ATTR" and i.argval == "_v"
    ]
    assert {i.argval for i in stores} == {"_v"}
    assert loads == []


def test_counts_and_sum_are_read_as_one() -> None:
    (between,) = read_regions(SlotHistogram.read)
    assert between[-1].argval == "_sum"
    assert harmful(between) == set(), between


def read_regions(function: Callable[..., Any]) -> Iterator[list[dis.Instruction]]:
    """Give what stands between a slice and the next load of an attribute, and that."""
    for code in codes(function.__code__):
        instructions = list(dis.get_instructions(code))
        for index, instruction in enumerate(instructions):
            # A slice: opcodes and what goes before them differ by version.
            is_slice = instruction.opname == "BINARY_SLICE" or (
                "BUILD_SLICE" in [i.opname for i in instructions[:index]]
                and instruction.opname == "BINARY_SUBSCR"
            )
            if is_slice:
                rest = instructions[index + 1 :]
                end = [i.opname for i in rest].index("LOAD_ATTR")
                yield rest[: end + 1]


def codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if inspect.iscode(constant):
            yield from codes(constant)


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        (SlotCounter, ["_v"]),
        (SlotUpDown, ["_v"]),
        (SlotGauge, ["_v"]),
        (SlotHistogram, ["_counts", "_sum"]),
        (Tally, ["_parts"]),
        (ThreadHistogram, ["_parts"]),
    ],
    ids=lambda it: getattr(it, "__name__", ""),
)
def test_the_attributes_are_slots(cell: type, names: list[str]) -> None:
    # A property, or a __getattr__, would be Python code between load and store.
    for name in names:
        assert inspect.ismemberdescriptor(getattr(cell, name))
    assert cell.__dictoffset__ == 0
    assert "__getattribute__" not in vars(cell)
    assert "__setattr__" not in vars(cell)


def test_the_cells_of_this_python_are_the_proved_ones() -> None:
    assert default_cells() is SLOT_CELLS


# --- the proof itself ------------------------------------------------------------------


class Bad:
    def __init__(self) -> None:
        self.v = 0
        self.lock = threading.Lock()
        self.bounds = [1.0]
        self.counts = [0, 0]

    def calls_in_between(self, amount):
        self.v += int(amount)

    def calls_in_the_index(self, amount):
        self.counts[bisect_left(self.bounds, amount)] += 1

    def loops_in_between(self, amounts):
        self.v += next(a for a in amounts if a)

    def chooses_in_between(self, amount):
        self.v += amount if amount else 1

    def makes_in_between(self, amount):
        self.counts += [amount]

    def reads_and_writes(self, amount):
        v = self.v
        self.v = v + amount

    def reads_and_writes_under_a_lock(self, amount):
        with self.lock:
            self.v = self.v + amount


@pytest.mark.parametrize(
    "function",
    [f for name, f in vars(Bad).items() if not name.startswith("__")],
    ids=lambda function: function.__name__,
)
def test_what_is_not_atomic_is_not_proved(function: Callable[..., Any]) -> None:
    found = regions(function)
    assert not found or any(harmful(region) for region in found)
