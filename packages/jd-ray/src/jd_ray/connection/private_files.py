"""What of Ray's on this machine other users must not get at: the folder of a Ray that is started here, and the token."""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

logger = logging.getLogger("just_distribute.ray")

#: The token files that were warned of.
_warned: set[Path] = set()


def session_folder() -> Mapping[str, str]:
    """Returns the setting of ``ray.init`` for a folder that only this user can enter.

    Ray keeps its sockets, logs and spilled objects there; in its own folder, all users of a machine can.
    """
    if not hasattr(os, "getuid"):
        return {}
    # As short as can be: the sockets have paths of 107 characters at most.
    base = os.environ.get("RAY_TMPDIR") or "/tmp"
    folder = Path(base, f"jd-ray-{os.getuid()}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        is_mine = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    except FileExistsError:  # and it is no folder
        is_mine = False
    # In a folder within it: that which Ray gets it opens to all users.
    return {"_temp_dir": str(Path(folder if is_mine else tempfile.mkdtemp(prefix="jd-ray-", dir=base), "r"))}


def check_token() -> None:
    """Warns, once, of a file with Ray's token that other users of this machine can read."""
    if os.environ.get("RAY_AUTH_MODE") == "disabled" or os.environ.get("RAY_AUTH_TOKEN") or not hasattr(os, "getuid"):
        return
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    if path not in _warned and _is_open(path):
        _warned.add(path)
        logger.warning(
            "distribute: other users of this machine can read Ray's token in %s, and with it run code on the cluster: "
            "chmod 600 %s",
            path,
            path,
        )


def _is_open(path: Path) -> bool:
    """Whether users other than the owner can read a file, and get to it."""
    try:
        modes = [path.stat().st_mode, *(parent.stat().st_mode for parent in path.resolve().parents)]
    except OSError:
        return False
    return any(
        modes[0] & read and all(mode & enter for mode in modes[1:])
        for read, enter in ((stat.S_IRGRP, stat.S_IXGRP), (stat.S_IROTH, stat.S_IXOTH))
    )
