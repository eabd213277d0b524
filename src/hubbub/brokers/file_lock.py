"""A lock on a file between processes, which the system takes back when its holder dies, however it dies."""

import errno
import os
import sys
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class FileLock:
    """A lock, of one holder or shared by many. The file stays where it is when the lock is given back.

    Args:
        path: the file, made with permissions 0600 if it is not there. It must be on a local disk: not all
            network file systems keep locks.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1  # a descriptor while held

    @property
    def held(self) -> bool:
        """Whether this object has the lock."""
        return self._file >= 0

    @property
    def descriptor(self) -> int:
        """Of the file, while held. A process that inherits it holds the lock too, for as long as it lives."""
        return self._file

    def acquire(self, *, shared: bool = False) -> bool:
        """Take the lock without waiting; False if somebody else has it, or has it in the other way.

        Args:
            shared: let others have it at the same time, shared as well. Not on Windows.

        Raises:
            OSError: if the file cannot be opened or locked.
        """
        if self.held:
            return True
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            _lock(file, shared)
        except OSError as error:
            os.close(file)
            if error.errno in {errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK}:
                return False
            raise
        self._file = file
        return True

    def release(self) -> None:
        """Give the lock back, if it is held."""
        if self.held:
            os.close(self._file)
            self._file = -1


def _lock(file: int, shared: bool) -> None:
    if sys.platform == "win32":
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
