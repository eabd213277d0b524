"""Lets the load tests import what the fault tests and the brokers' own tests use."""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]

for folder in ("faults", "brokers"):
    if str(TESTS / folder) not in sys.path:
        sys.path.append(str(TESTS / folder))
