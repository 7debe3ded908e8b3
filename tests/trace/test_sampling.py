"""Which traces are recorded: alone, composed, and when a sampler fails."""

import math
import random
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs import DefinitionError, InvalidValue, Obs
from obs.model import TraceContext
from obs.testing import FakeClock, MemoryExporter
from obs.trace import (
    AllOf,
    Always,
    AnyOf,
    Never,
    ParentBased,
    RateLimited,
    Ratio,
    Rule,
    Rules,
)

ROOT = TraceContext()
REMOTE = TraceContext(trace=0xA, span=0xB, remote=True)
traces = st.integers(1, 2**128 - 1)
shares = st.floats(0, 1)


def decide(sampler, trace=1, name="n", attributes=None, kind="internal", parent=ROOT):
    return sampler.sample(trace, name, attributes or {}, kind, parent)


class Fixed:
    """A sampler with one answer, which counts how often it is asked."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    def sample(self, *args):
        self.asked.append(args)
        return self.answer


class Failing:
    def __init__(self, error=RuntimeError):
        self.error = error

    def sample(self, *args):
        raise self.error


def refused(make):
    with pytest.raises(DefinitionError) as caught:
        make()
    return str(caught.value)


# --- Ratio ------------------------------------------------------------------------------


@given(traces)
def test_ratio_0_records_no_trace_and_ratio_1_records_all(trace):
    assert not decide(Ratio(0), trace)
    assert decide(Ratio(1), trace)
    assert not decide(Never(), trace)
    assert decide(Always(), trace)


@pytest.mark.parametrize(
    ("share", "threshold"),
    [
        (1.0, 0),
        (0.5, 0x80_0000_0000_0000),
        (0.25, 0xC0_0000_0000_0000),
        (0.1, 0xE6_6666_6666_6666),
        (2**-56, 0xFF_FFFF_FFFF_FFFF),
    ],
)
@pytest.mark.parametrize("above", [0, 1 << 56, (2**72 - 1) << 56])
def test_a_trace_is_recorded_from_the_threshold_of_opentelemetry_on(
    share, threshold, above
):
    # Threshold T = (1 - share) * 2**56, randomness R = the id's last 56 bits; R >= T.
    assert decide(Ratio(share), above | threshold)
    if threshold:
        assert not decide(Ratio(share), above | (threshold - 1))


@given(traces, shares, shares)
def test_a_higher_ratio_records_all_that_a_lower_one_does(trace, one, other):
    low, high = sorted((one, other))
    assert decide(Ratio(low), trace) <= decide(Ratio(high), trace)


@given(traces, shares, st.integers(0, 2**72 - 1))
def test_only_the_last_56_bits_decide(trace, share, above):
    other = (above << 56) | (trace & (2**56 - 1))
    assert decide(Ratio(share), trace) == decide(Ratio(share), other)


def test_another_process_records_the_same_traces():
    ids = [random.getrandbits(128) for _ in range(300)]
    code = (
        "import sys; from obs.trace import Ratio; from obs.model import TraceContext\n"
        "for line in sys.stdin:\n"
        "    kept = Ratio(0.3).sample(int(line), 'x', {}, 'server', TraceContext())\n"
        "    print(int(kept))\n"
    )
    command = [sys.executable, "-c", code]
    text = "\n".join(map(str, ids))
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, check=True, timeout=30
    )
    here = [str(int(decide(Ratio(0.3), trace))) for trace in ids]
    assert done.stdout.split() == here
    assert set(here) == {"0", "1"}


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.9])
def test_the_share_of_new_traces_is_right_within_six_sigma(share):
    memory, n = MemoryExporter(), 4_000
    tel = Obs("x", exporters=[memory], runtime=False, sampler=Ratio(share))
    with tel.start():
        for _ in range(n):
            with tel.span("a"):
                pass
    sigma = math.sqrt(n * share * (1 - share))
    assert abs(len(memory.spans) - n * share) < 6 * sigma


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (-0.001, "-0.001"),
        (1.001, "1.001"),
        (2, "2"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (True, "True"),
        ("0.5", "'0.5'"),
        (None, "None"),
    ],
)
def test_a_ratio_is_a_number_from_0_to_1(share, shown):
    text = f"Ratio: got {shown}, needs a number from 0 to 1."
    assert refused(lambda: Ratio(share)) == text


# --- ParentBased ------------------------------------------------------------------------


@pytest.mark.parametrize("decided", [True, False])
def test_what_upstream_decided_is_followed(decided):
    root = Fixed(not decided)
    parent = REMOTE._replace(sampled=decided)
    assert decide(ParentBased(root), parent=parent) is decided
    assert root.asked == []


@pytest.mark.parametrize("answer", [True, False])
@pytest.mark.parametrize("parent", [ROOT, REMOTE], ids=["root", "deferred"])
def test_where_nobody_has_decided_the_root_sampler_is_asked(parent, answer):
    root = Fixed(answer)
    given = (7, "n", {"a": 1}, "server", parent)
    assert ParentBased(root).sample(*given) is answer
    assert root.asked == [given]


@pytest.mark.parametrize(
    ("sampler", "sampled", "debug", "recorded"),
    [
        (None, None, False, True),
        (None, True, False, True),
        (None, False, False, False),
        (None, False, True, True),
        (ParentBased(Never()), None, False, False),
        (ParentBased(Never()), True, False, True),
        (ParentBased(Never()), False, False, False),
        (ParentBased(Always()), None, False, True),
        (ParentBased(Always()), False, False, False),
        (ParentBased(Never()), None, True, True),
        (Never(), True, False, False),
        (Never(), False, True, True),
        (Always(), False, False, True),
    ],
)
def test_a_context_from_another_process(sampler, sampled, debug, recorded):
    memory = MemoryExporter()
    tel = Obs("x", exporters=[memory], runtime=False, strict=True, sampler=sampler)
    with (
        tel.start(),
        tel.use(REMOTE._replace(sampled=sampled, debug=debug)),
        tel.span("a") as span,
    ):
        assert span.context.sampled is recorded
        assert span.context.trace == REMOTE.trace
    assert len(memory.spans) == recorded


def test_the_sampler_is_asked_once_for_each_trace_with_what_its_first_span_starts_with():
    sampler = Fixed(True)
    tel = Obs("x", runtime=False, strict=True, sampler=sampler)
    with tel.span("a", {"b.c": 1}, kind="server", d=2) as span, tel.span("below"):
        pass
    attributes = {"b.c": 1, "d": 2}
    assert sampler.asked == [(span.trace.id, "a", attributes, "server", ROOT)]
    assert span.attributes == attributes


def test_all_below_an_unsampled_span_follow_it_without_asking():
    sampler, memory = Fixed(False), MemoryExporter()
    tel = Obs("x", exporters=[memory], runtime=False, strict=True, sampler=sampler)
    with tel.start(), tel.span("a") as above:
        sampler.answer = True
        with tel.span("b") as below:
            assert below.context.trace == above.context.trace
            assert below.context.sampled is False
    assert memory.spans == []
    assert len(sampler.asked) == 1


# --- RateLimited ------------------------------------------------------------------------


def passed(limiter, n):
    return sum(decide(limiter) for _ in range(n))


def test_a_burst_passes_at_once_and_then_as_many_as_the_rate_allows():
    clock = FakeClock()
    limiter = RateLimited(10, burst=3, clock=clock)
    assert [decide(limiter) for _ in range(5)] == [True, True, True, False, False]
    clock.advance(0.099)
    assert not decide(limiter)
    clock.advance(0.001)
    assert [decide(limiter) for _ in range(2)] == [True, False]
    clock.advance(0.2)
    assert passed(limiter, 5) == 2


def test_a_long_pause_gives_no_more_than_the_burst():
    clock = FakeClock()
    limiter = RateLimited(10, burst=3, clock=clock)
    passed(limiter, 9)
    clock.advance(86_400)
    assert passed(limiter, 9) == 3


@pytest.mark.parametrize(
    ("per_second", "burst", "at_once"),
    [(5, None, 5), (0.1, None, 1), (5, 1, 1), (5, 2.5, 2), (1, 1e9, 100), (1e9, 1, 1)],
)
def test_the_burst_is_that_of_a_second_but_at_least_one(per_second, burst, at_once):
    limiter = RateLimited(per_second, burst=burst, clock=FakeClock())
    assert passed(limiter, 100) == at_once


@given(
    st.floats(0.01, 1_000),
    st.floats(1, 20),
    st.lists(st.floats(0, 5), min_size=1, max_size=30),
)
def test_in_no_time_pass_more_than_burst_and_rate_allow(per_second, burst, pauses):
    clock = FakeClock()
    limiter = RateLimited(per_second, burst=burst, clock=clock)
    begin, passes = clock.monotonic_ns(), 0
    for pause in pauses:
        clock.advance(pause)
        passes += passed(limiter, 30)
        seconds = (clock.monotonic_ns() - begin) / 1e9
        assert passes <= burst + seconds * per_second + 1e-3


def test_the_rate_is_reached_when_there_is_always_something_to_record():
    clock = FakeClock()
    limiter = RateLimited(7, burst=2, clock=clock)
    passes = 0
    for _ in range(10_000):
        clock.advance(0.01)
        passes += decide(limiter)
    assert 700 <= passes <= 702


def test_the_wall_clock_has_no_say():
    clock = FakeClock()
    limiter = RateLimited(1, burst=2, clock=clock)
    passed(limiter, 5)
    clock.jump(3_600)
    assert not decide(limiter)
    clock.jump(-7_200)
    clock.advance(1)
    assert [decide(limiter), decide(limiter)] == [True, False]


def test_a_clock_that_falls_lets_nothing_more_pass_and_harms_nothing_later():
    clock = FakeClock()
    limiter = RateLimited(1, burst=2, clock=clock)
    assert passed(limiter, 5) == 2
    now = clock._monotonic_ns
    clock._monotonic_ns = now - 500_000_000
    assert passed(limiter, 5) == 0
    clock._monotonic_ns = now + 1_000_000_000
    assert passed(limiter, 5) == 1


class Stalled:
    """A clock on which the first caller is held up while others go on."""

    def __init__(self, meanwhile):
        self.clock = FakeClock()
        self.meanwhile = meanwhile

    def monotonic_ns(self):
        now = self.clock.monotonic_ns()
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return now

    def time_ns(self):
        return self.clock.time_ns()


def test_a_thread_that_was_held_up_adds_nothing_to_the_number():
    counted = []
    clock = Stalled(lambda: counted.append(passed(limiter, 50)))
    limiter = RateLimited(1, burst=10, clock=clock)
    counted.append(decide(limiter))
    assert counted == [10, False]
    assert passed(limiter, 50) == 0


def test_the_newest_turn_is_found_from_any_older_one():
    limiter = RateLimited(1, burst=10, clock=FakeClock())
    older = limiter._last
    assert passed(limiter, 4) == 4
    limiter._last = older  # what a thread does that was held up before its last step
    assert passed(limiter, 50) == 6


def test_of_threads_that_come_at_the_same_moment_one_passes():
    limiter = RateLimited(1, burst=10, clock=FakeClock())
    rival = []

    class Late(dict):
        """Where a turn is put: just before, somebody else takes it."""

        def setdefault(self, key, mine):
            if not rival:
                rival.append(True)
                rival.append(passed(limiter, 50))
            return super().setdefault(key, mine)

    limiter._last.after = Late()
    assert not decide(limiter)
    assert rival == [True, 10]


def test_many_threads_pass_exactly_the_burst():
    clock, n, burst = FakeClock(), 8, 500
    limiter = RateLimited(1, burst=burst, clock=clock)
    counts, gate = [], threading.Barrier(n)

    def work():
        gate.wait(10)
        counts.append(passed(limiter, 1_000))

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(n)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    finally:
        sys.setswitchinterval(before)
    assert len(counts) == n
    assert sum(counts) == burst


def test_what_has_passed_is_not_kept():
    limiter = RateLimited(1e9, burst=1e9, clock=FakeClock())
    first = limiter._last
    assert passed(limiter, 100_000) == 100_000
    limiter._last.after = {}
    steps, turn = 0, limiter._last
    while turn.after:
        steps, turn = steps + 1, turn.after[0]
    assert steps == 0
    del first  # a chain of 100,000 turns goes without a crash
    assert decide(limiter)


def test_a_real_clock_will_do():
    limiter = RateLimited(1_000, burst=1)
    deadline = time.monotonic() + 10
    passes = 0
    while passes < 3 and time.monotonic() < deadline:
        passes += decide(limiter)
    assert passes == 3


@pytest.mark.parametrize(
    ("per_second", "shown"),
    [
        (0, "0"),
        (-1, "-1"),
        (9e-10, "9e-10"),
        (1.1e9, "1100000000.0"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (True, "True"),
        ("1", "'1'"),
        (None, "None"),
    ],
)
def test_a_rate_is_a_number_from_a_billionth_to_a_billion(per_second, shown):
    assert refused(lambda: RateLimited(per_second)) == (
        f"RateLimited: per_second got {shown}, needs a number from 1e-9 to 1e9."
    )


@pytest.mark.parametrize(
    ("burst", "shown"),
    [
        (0.999, "0.999"),
        (0, "0"),
        (1.1e9, "1100000000.0"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (True, "True"),
        ("1", "'1'"),
    ],
)
def test_a_burst_is_a_number_from_1_to_a_billion(burst, shown):
    assert refused(lambda: RateLimited(1, burst=burst)) == (
        f"RateLimited: burst got {shown}, needs a number from 1 to 1e9."
    )


@pytest.mark.parametrize("per_second", [1e-9, 1e9])
def test_the_slowest_and_the_fastest_rate(per_second):
    clock = FakeClock()
    limiter = RateLimited(per_second, burst=1, clock=clock)
    assert [decide(limiter), decide(limiter)] == [True, False]
    clock.advance(1.001 / per_second)
    assert [decide(limiter), decide(limiter)] == [True, False]


# --- AllOf, AnyOf -----------------------------------------------------------------------

ANSWERS = [(), (True,), (False,), (True, True), (True, False), (False, True)]


@pytest.mark.parametrize("answers", ANSWERS)
def test_all_of_several_samplers(answers):
    samplers = [Fixed(answer) for answer in answers]
    assert decide(AllOf(*samplers)) is all(answers)
    asked = answers.index(False) + 1 if False in answers else len(answers)
    assert [len(it.asked) for it in samplers[:asked]] == [1] * asked
    assert [len(it.asked) for it in samplers[asked:]] == [0] * (len(answers) - asked)


@pytest.mark.parametrize("answers", ANSWERS)
def test_any_of_several_samplers(answers):
    samplers = [Fixed(answer) for answer in answers]
    assert decide(AnyOf(*samplers)) is any(answers)
    asked = answers.index(True) + 1 if True in answers else len(answers)
    assert [len(it.asked) for it in samplers[:asked]] == [1] * asked
    assert [len(it.asked) for it in samplers[asked:]] == [0] * (len(answers) - asked)


def test_composed_samplers_hand_on_what_they_got():
    inner = Fixed(True)
    given = (7, "n", {"a": 1}, "server", REMOTE)
    composed = ParentBased(Rules(Rule(AllOf(AnyOf(inner)), name="n")))
    assert composed.sample(*given)
    assert inner.asked == [given]


def test_a_rate_limit_behind_a_ratio_counts_what_the_ratio_lets_pass():
    limiter = RateLimited(1, burst=2, clock=FakeClock())
    sampler = AllOf(Ratio(0.5), limiter)
    low, high = 1, 2**56 - 1
    answers = [decide(sampler, trace) for trace in (low, low, high, low, high, high)]
    assert answers == [False, False, True, False, True, False]


# --- Rules ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "name", "applies"),
    [
        ("*", "", True),
        ("*", "anything\nat all", True),
        ("", "", True),
        ("", "a", False),
        ("GET /health", "GET /health", True),
        ("GET /health", "GET /healthz", False),
        ("GET /health", "xGET /health", False),
        ("GET /health", "get /health", False),
        ("GET *", "GET /a/b", True),
        ("*health*", "GET /healthz", True),
        ("a?c", "abc", True),
        ("a?c", "a\nc", True),
        ("a?c", "ac", False),
        ("a?c", "abbc", False),
        ("a", "a\n", False),
        ("items[0]", "items[0]", True),
        ("items[0]", "items0", False),
        ("[!a]", "[!a]", True),
        ("[!a]", "b", False),
        ("[[]*]", "[[]x]", True),
        ("a]b", "a]b", True),
        ("a.c", "abc", False),
        ("(a|b)+$", "(a|b)+$", True),
        ("\\d", "\\d", True),
        ("*", None, False),
        ("*", 5, False),
    ],
)
def test_a_rule_applies_to_names(pattern, name, applies):
    assert Rule(Always(), name=pattern).applies(name, {}, "internal") is applies


@given(st.text(alphabet=st.characters(exclude_characters="*?")), st.text())
def test_text_without_stars_and_question_marks_means_itself(pattern, other):
    rule = Rule(Always(), name=pattern)
    assert rule.applies(pattern, {}, "internal")
    assert rule.applies(other, {}, "internal") == (pattern == other)


def test_a_pattern_of_many_stars_takes_no_exponential_time():
    rule = Rule(Always(), name="*a" * 30 + "b")
    begin = time.process_time()
    assert not rule.applies("a" * 2_000, {}, "internal")
    assert time.process_time() - begin < 5


@pytest.mark.parametrize(
    ("wanted", "attributes", "applies"),
    [
        ({}, {}, True),
        ({"a": "x"}, {"a": "x", "b": 1}, True),
        ({"a": "x"}, {"a": "y"}, False),
        ({"a": "x"}, {}, False),
        ({"a": "x*"}, {"a": "xyz"}, True),
        ({"a": "?"}, {"a": 7}, False),
        ({"a": "[x]"}, {"a": "[x]"}, True),
        ({"a": 7}, {"a": 7}, True),
        ({"a": 7}, {"a": "7"}, False),
        ({"a": True, "b": "x"}, {"a": True, "b": "x"}, True),
        ({"a": True, "b": "x"}, {"a": True, "b": "y"}, False),
        ({"a": None}, {"a": None}, True),
        ({"a": None}, {}, False),
    ],
)
def test_a_rule_applies_to_attributes(wanted, attributes, applies):
    rule = Rule(Always(), attributes=wanted)
    assert rule.applies("n", attributes, "internal") is applies


@pytest.mark.parametrize(
    ("wanted", "kind", "applies"),
    [(None, "client", True), ("client", "client", True), ("client", "server", False)],
)
def test_a_rule_applies_to_kinds(wanted, kind, applies):
    assert Rule(Always(), kind=wanted).applies("n", {}, kind) is applies


def test_the_attributes_of_a_rule_are_copied():
    wanted = {"a": 1}
    rule = Rule(Always(), attributes=wanted)
    wanted["b"] = 2
    assert rule.applies("n", {"a": 1}, "internal")


def test_the_first_rule_that_applies_decides():
    rules = Rules(
        Rule(Never(), name="GET /health"),
        Rule(Always(), name="GET *", attributes={"vip": True}),
        Rule(Never(), name="GET *"),
        default=Always(),
    )
    assert not decide(rules, name="GET /health", attributes={"vip": True})
    assert decide(rules, name="GET /a", attributes={"vip": True})
    assert not decide(rules, name="GET /a")
    assert decide(rules, name="POST /a")


def test_where_no_rule_applies_the_default_decides_and_without_one_all_is_recorded():
    rule = Rule(Never(), name="a")
    assert decide(Rules(rule), name="b")
    assert decide(Rules())
    assert not decide(Rules(rule, default=Never()), name="b")


def test_a_default_that_looks_empty_is_taken():
    class Empty(Never):
        def __len__(self):
            return 0

    assert not decide(Rules(default=Empty()))


def test_rules_decide_about_spans():
    memory = MemoryExporter()
    rules = Rules(Rule(Never(), name="health"), Rule(Never(), attributes={"bot": True}))
    tel = Obs("x", exporters=[memory], runtime=False, strict=True, sampler=rules)
    with tel.start():
        for name, bot in (("health", False), ("buy", True), ("buy", False)):
            with tel.span(name, bot=bot):
                pass
    assert [span.attributes for span in memory.spans] == [{"bot": False}]


# --- errors -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (ParentBased, "ParentBased"),
        (lambda it: AllOf(Always(), it), "AllOf"),
        (lambda it: AnyOf(Always(), it), "AnyOf"),
        (Rule, "Rule"),
        (lambda it: Obs("x", runtime=False, sampler=it), "sampler"),
    ],
)
@pytest.mark.parametrize(
    ("given", "shown"),
    [(0, "0"), ("x", "'x'"), (Always, "<class 'obs.trace._sampling.Always'>")],
)
def test_what_is_no_sampler_is_refused_where_it_is_defined(make, what, given, shown):
    text = f"{what}: got {shown}, needs a sampler such as Ratio(0.1)."
    assert refused(lambda: make(given)) == text


def test_a_default_that_is_no_sampler_is_refused():
    text = "Rules: got 0, needs a sampler such as Ratio(0.1)."
    assert refused(lambda: Rules(default=0)) == text
    assert refused(lambda: ParentBased(None)) == (
        "ParentBased: got None, needs a sampler such as Ratio(0.1)."
    )


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: Rules("a"),
            "Rules: got 'a', needs Rule(sampler, name=...).",
        ),
        (
            lambda: Rule(Always(), name=5),
            "Rule: name got 5, needs text.",
        ),
        (
            lambda: Rule(Always(), kind="sever"),
            "Rule: kind got 'sever', needs one of "
            "internal, server, client, producer, consumer.",
        ),
        (
            lambda: Rule(Always(), kind=[]),
            "Rule: kind got [], needs one of "
            "internal, server, client, producer, consumer.",
        ),
        (
            lambda: Rule(Always(), attributes=5),
            "Rule: attributes got 5, needs a mapping.",
        ),
        (
            lambda: Rule(Always(), attributes="ab"),
            "Rule: attributes got 'ab', needs a mapping.",
        ),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(make, text):
    assert refused(make) == text


class Odd:
    def __bool__(self):
        raise RuntimeError


FAILURES = {
    "raises": (Failing(), "RuntimeError"),
    "recursion": (Failing(RecursionError), "RecursionError"),
    "answers oddly": (Fixed(Odd()), "RuntimeError"),
    "inside others": (AllOf(Rules(default=Failing(KeyError))), "KeyError"),
}


@pytest.mark.parametrize("how", FAILURES)
@pytest.mark.parametrize(
    ("parent", "recorded"),
    [
        (ROOT, True),
        (REMOTE, True),
        (REMOTE._replace(sampled=True), True),
        (REMOTE._replace(sampled=False), False),
    ],
    ids=["root", "deferred", "sampled", "not sampled"],
)
def test_a_failing_sampler_is_counted_said_once_and_never_seen(
    how, parent, recorded, capfd
):
    sampler, error = FAILURES[how]
    memory = MemoryExporter()
    tel = Obs("x", exporters=[memory], runtime=False, sampler=sampler)
    with tel.start():
        for _ in range(3):
            with tel.use(parent), tel.span("a"):
                pass
        dropped = memory.value(
            "obs.dropped", signal="traces", exporter="", reason="invalid"
        )
    assert dropped == 3
    assert len(memory.spans) == 3 * recorded
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert (
        f'"event":"sampler: sample() raised a {error}. '
        'What upstream decided was taken, else the trace is recorded."' in said
    )


@pytest.mark.parametrize("how", FAILURES)
def test_in_strict_mode_a_failing_sampler_raises(how):
    sampler, error = FAILURES[how]
    tel = Obs("x", runtime=False, strict=True, sampler=sampler)
    with pytest.raises(InvalidValue) as caught:
        tel.span("a")
    assert str(caught.value) == (
        f"sampler: sample() raised a {error}. "
        "What upstream decided was taken, else the trace is recorded."
    )


@pytest.mark.parametrize("answer", [1, "yes", [0]])
def test_any_true_answer_counts(answer):
    tel = Obs("x", runtime=False, strict=True, sampler=Fixed(answer))
    assert tel.span("a").context.sampled is True
    tel = Obs("x", runtime=False, strict=True, sampler=Fixed(type(answer)()))
    assert tel.span("a").context.sampled is False


class TestTraceNext:
    @pytest.fixture
    def memory(self):
        return MemoryExporter()

    @pytest.fixture
    def tel(self, memory):
        tel = Obs("x", runtime=False, exporters=[memory], sampler=Never())
        with tel.start():
            yield tel

    def make(self, tel, *names):
        for name in names:
            with tel.span(name), tel.span("child"):
                pass

    def test_the_next_trace_is_recorded_whole_and_no_other(self, tel, memory):
        self.make(tel, "a")
        tel.trace.trace_next()
        self.make(tel, "b", "c")
        assert [span.name for span in memory.spans] == ["child", "b"]

    def test_patterns_choose_by_the_name_of_the_first_span(self, tel, memory):
        tel.trace.trace_next("POST *", n=2)
        tel.trace.trace_next("child")
        self.make(tel, "GET /", "POST /a", "POST /b", "POST /c")
        assert [it.name for it in memory.spans if it.name != "child"] == [
            "POST /a",
            "POST /b",
        ]

    def test_what_upstream_leaves_out_is_recorded_from_here_on(self, tel, memory):
        header = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-00"}
        tel.trace.trace_next()
        with tel.use(tel.extract(header)), tel.span("here"):
            sent = tel.inject()
        assert memory.span("here").trace_id == "ab" * 16
        assert sent["traceparent"].endswith("-01")

    def test_hostile_names_hurt_nobody(self, tel, memory):
        tel.trace.trace_next("[", n=3)
        tel.trace.trace_next("*")
        self.make(tel, 5)
        assert len(memory.spans) == 2

    def test_threads_get_no_more_than_was_asked_for(self, tel, memory):
        tel.trace.trace_next(n=100)
        threads = [
            threading.Thread(target=self.make, args=[tel, *["a"] * 100])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(memory.spans) == 200

    @pytest.mark.parametrize(
        ("name", "n"),
        [("", 1), (None, 1), ("a", 0), ("a", 1_001), ("a", True), ("a", "1")],
    )
    def test_wrong_arguments_are_refused(self, tel, name, n):
        text = (
            f"trace_next: got {name!r}, n={n!r}, needs a name or pattern, and a number "
            "from 1; 1,000 may wait in all."
        )
        assert refused(lambda: tel.trace.trace_next(name, n=n)) == text
