"""The secret that records are signed with, so that one made elsewhere is never believed.

A cache lies in the project, where whoever can commit a file can put one. The secret lies with the
user, where a commit does not reach.
"""

from __future__ import annotations

import contextlib
import os
import stat
from hashlib import blake2b
from pathlib import Path

KEY_VARIABLE = "SCALEAUDIT_CACHE_KEY"
SIGNATURE_SIZE = 32
_KEY_SIZE = 32


def signature(secret: bytes, name: str, body: bytes) -> bytes:
    """Sign what stands in a record of a name."""
    signing = blake2b(name.encode(), key=secret, digest_size=SIGNATURE_SIZE)
    signing.update(body)
    return signing.digest()


def load_secret() -> bytes:
    """Return the user's secret, made where there is none yet.

    Raises:
        OSError: It can be neither read nor kept.
    """
    if given := os.environ.get(KEY_VARIABLE):
        return blake2b(given.encode(errors="surrogateescape"), digest_size=_KEY_SIZE).digest()
    file = _file()
    return _read(file) or _made(file)


def _file() -> Path:
    state = os.environ.get("XDG_STATE_HOME")
    try:
        folder = Path(state) if state else Path.home() / ".local" / "state"
    except RuntimeError as error:  # a user without a home
        raise OSError(str(error)) from None
    return folder / "scaleaudit" / "cache-key"


_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
# Opening a pipe would wait for somebody to write to it.
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)


def _read(file: Path) -> bytes | None:
    """Return the secret in a file; None where there is none, or others could have put it there."""
    try:
        descriptor = os.open(file, os.O_RDONLY | _NO_FOLLOW | _NO_WAIT)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as opened:
        found, secret = os.fstat(descriptor), opened.read(_KEY_SIZE + 1)
    foreign = hasattr(os, "getuid") and found.st_uid != os.getuid()
    open_to_others = os.name == "posix" and found.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    if foreign or open_to_others or len(secret) != _KEY_SIZE:
        return None
    return secret


def _made(file: Path) -> bytes:
    """Write a new secret, whole at once; of several processes the first is believed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(os.urandom(_KEY_SIZE))
        try:
            os.link(draft, file)
        except FileExistsError:
            if _read(file) is None:
                draft.replace(file)  # what was there is of no use to anybody
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
    secret = _read(file)
    if secret is None:
        raise OSError(f"{file} cannot be kept to oneself")
    return secret
