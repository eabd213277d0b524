"""The bench: what a server spends on a delivery, an echo, a connection, beside others, in one run.

Run it from a checkout with `python -m benchmarks`; docs/benchmarks.md says how to read it. It needs Linux,
a C compiler, and two cores to mean something. It is no part of the package.
"""
