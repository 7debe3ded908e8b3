"""The fixtures of ``obs.testing``: ``tel`` (strict, in memory), ``memory`` and ``clock``."""

from obs.testing.fixtures import clock, memory, tel

__all__ = ["clock", "memory", "tel"]
