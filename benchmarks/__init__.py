"""Nanoseconds, bytes and milliseconds beside other clients: ``python -m benchmarks``."""
