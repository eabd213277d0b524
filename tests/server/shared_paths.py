"""Makes what the tests of brokers and of the gateway share importable, also when these tests run alone."""

import sys
from pathlib import Path

for folder in ("gateway", "brokers"):
    path = str(Path(__file__).parents[1] / folder)
    if path not in sys.path:
        sys.path.append(path)
