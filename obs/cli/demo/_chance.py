"""What happens by chance, and happens again in the next run with the same seed."""

from random import Random


class Chance:
    """Decides by chance, from a seed.

    Threads run in another order each time. So there is no common sequence of random
    numbers: every question about every request has a beginning of its own.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def of(self, question: str, number: int) -> Random:
        """Give the random numbers for one question about one request."""
        return Random(f"{self._seed} {question} {number}")

    def happens(self, question: str, number: int, probability: float) -> bool:
        """Decide whether something happens to one request."""
        return self.of(question, number).random() < probability

    def seconds(
        self, question: str, number: int, *, usual: float, slow: float
    ) -> float:
        """Give how long something takes: about ``usual``, one time in twenty ``slow``."""
        random = self.of(question, number)
        return (slow if random.random() < 0.05 else usual) * random.uniform(0.7, 1.3)
