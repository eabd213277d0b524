"""Installs the optional peers, each by itself, so that one that fails takes no other with it."""

import shutil
import subprocess
import sys

from benchmarks.places import CACHE, NODE_MODULES, PEERS, PEERS_PYTHON

# Pinned: figures of different days are only then about the same code.
PYTHON_PEERS = (
    ("uvicorn==0.54.0", "uvloop==0.23.0", "httptools==0.9.0", "websockets==17.4"),
    ("picows==2.3.1",),
    ("socketify==0.0.31",),
    ("litestar==2.25.0",),
    ("python-socketio==5.18.1",),
    ("channels==4.3.2", "daphne==4.2.3", "django==5.2.19"),
)
NODE_PEERS = ("ws@8.23.0", "socket.io@4.8.4")


def install_peers() -> int:
    """Installs what can be installed, says what could not. Returns the exit code: 0 when all went well."""
    failed: list[tuple[str, ...]] = []
    if not PEERS_PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
    pip = [str(PEERS_PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    failed += [names for names in PYTHON_PEERS if not _runs([*pip, *names])]
    if shutil.which("npm") is None:
        print("node peers not installed: npm is not there", file=sys.stderr)
        failed.append(NODE_PEERS)
    else:
        folder = NODE_MODULES.parent
        folder.mkdir(parents=True, exist_ok=True)
        npm = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(folder)]
        failed += [(name,) for name in NODE_PEERS if not _runs([*npm, name])]
    for names in failed:
        print(f"not installed: {' '.join(names)}", file=sys.stderr)
    print(f"the peers are in {CACHE}")
    return 1 if failed else 0


def _runs(command: list[str]) -> bool:
    print("installing", *command[-2:], flush=True)
    return subprocess.run(command, check=False).returncode == 0
