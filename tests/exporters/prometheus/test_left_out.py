"""What is left out is counted each time and said once."""

from obs_exporters.prometheus._left_out import LeftOut, name_of
from tests.exporters.prometheus.sources import FixedSource


class Explodes:
    def __getattr__(self, name):
        raise RuntimeError


def test_a_family_is_called_by_its_name_or_by_what_it_is():
    assert name_of(7) == "7"
    assert name_of(Explodes()) == "of type Explodes"


def test_the_same_text_is_said_once_and_counted_each_time():
    source = FixedSource()
    left_out = LeftOut("page", source)
    for _ in range(3):
        left_out.count(2, "It is gone.")
        left_out.say()
    assert source.said == [("page", "It is gone.")]
    assert source.counted == {"invalid": 6}


def test_what_is_remembered_is_bounded(monkeypatch):
    from obs_exporters.prometheus import _left_out

    monkeypatch.setattr(_left_out, "_MAX_SAID", 2)
    source = FixedSource()
    left_out = LeftOut("page", source)
    for n in range(5):
        left_out.note(str(n))
    left_out.say()
    assert source.said == [("page", "0 1")]


def test_a_text_that_another_thread_says_first_is_not_said_twice():
    source = FixedSource()
    left_out = LeftOut("page", source)
    left_out.note("a")

    class Greedy(type(left_out._unsaid)):
        def popleft(self):
            self.clear()
            raise IndexError

    left_out._unsaid = Greedy(left_out._unsaid)
    left_out.say()
    assert source.said == []
