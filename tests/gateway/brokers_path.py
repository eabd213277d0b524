"""Lets the tests of the API import the servers that the brokers' own tests use."""

import sys
from pathlib import Path

BROKERS = str(Path(__file__).parents[1] / "brokers")

if BROKERS not in sys.path:
    sys.path.append(BROKERS)
