"""Figures of the executors beside those of their peers: `python -m benchmarks`."""
