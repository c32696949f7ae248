"""What of Ray's on this machine other users cannot get at; no Ray is started."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

import pytest
from jd_ray.connection import private_files

pytestmark = pytest.mark.skipif(not hasattr(os, "getuid"), reason="no users and modes as on POSIX")


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which Ray's are made."""
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    return tmp_path


def test_the_folder_is_closed_to_others(base: Path) -> None:
    """Section 6, Ray: a Ray that is started here keeps its files where only this user gets; the next one, too."""
    folder = Path(private_files.session_folder()["_temp_dir"])
    assert folder.parent.parent == base
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    folder.mkdir(mode=0o777)  # as Ray does
    folder.chmod(0o777)
    assert private_files.session_folder() == {"_temp_dir": str(folder)}


@pytest.mark.parametrize("kind", ["open", "link", "file"])
def test_a_folder_that_others_have_made(base: Path, kind: str) -> None:
    """What lies there under that name, and is not this user's closed folder, is not used."""
    folder = Path(private_files.session_folder()["_temp_dir"]).parent
    folder.rmdir()
    if kind == "open":
        folder.mkdir()
        folder.chmod(0o755)
    elif kind == "link":
        (base / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(base / "elsewhere")
    else:
        folder.touch()
    used = Path(private_files.session_folder()["_temp_dir"]).parent
    assert used not in (folder, base / "elsewhere")
    assert stat.S_IMODE(used.stat().st_mode) == 0o700


def test_a_token_that_others_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Section 6, Ray: a token file that other users can read is warned of, once, with the remedy."""
    path = tmp_path / "token"
    path.write_text("secret")
    monkeypatch.setattr(private_files, "_warned", set())
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    parents = [*path.resolve().parents]
    modes = dict.fromkeys(parents, 493)
    looked = Path.stat

    def look(self: Path, **options: bool) -> os.stat_result:
        found = looked(self, **options)
        return os.stat_result((stat.S_IFDIR | modes[self], *found[1:])) if self in modes else found

    monkeypatch.setattr(Path, "stat", look)
    with caplog.at_level(logging.WARNING, "just_distribute.ray"):
        path.chmod(0o600)
        private_files.check_token()
        path.chmod(0o644)
        modes[parents[0]] = 0o700  # nobody else gets there
        private_files.check_token()
        assert not caplog.records
        modes[parents[0]] = 0o755
        private_files.check_token()
        private_files.check_token()
        monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    (record,) = caplog.records
    assert f"other users of this machine can read Ray's token in {path}" in record.message
    assert f"chmod 600 {path}" in record.message
    assert "secret" not in record.message
