"""Where things are: the checkout, the bench's own cache folder, and the interpreters that run the servers."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NATIVE = ROOT / "benchmarks" / "native"
CACHE = ROOT / ".bench"
LOGS = CACHE / "logs"
PEERS = CACHE / "peers"
PEERS_PYTHON = PEERS / "bin" / "python"
NODE_MODULES = CACHE / "node" / "node_modules"
