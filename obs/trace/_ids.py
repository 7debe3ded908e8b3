"""Random ids: a generator of our own, seeded anew in a forked child."""

# Not `random`: what users do with random.seed() must not make ids collide, and the class
# in C is all that is needed of it (the module costs 5 ms to import).
from _random import Random

from obs._fork import on_fork

_random = Random()
random_bits = _random.getrandbits
"""``random_bits(n)`` gives n random bits; one C call, so atomic in any thread."""


class _Reseed:
    def after_fork_in_child(self) -> None:
        """Go on differently than the parent."""
        _random.seed()


_reseed = _Reseed()  # on_fork holds weakly
on_fork(_reseed)
