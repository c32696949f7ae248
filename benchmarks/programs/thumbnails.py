"""Photographs to thumbnails, with Pillow. It releases the GIL while it decodes, so threads are a peer."""

import hashlib
import io
import random
from pathlib import Path

from PIL import Image

SIZE, QUICK = 200, 6


def make(folder: Path, size: int) -> None:
    for number in range(size):
        if number < 6:
            photograph = Image.merge("RGB", [Image.effect_noise((2400, 1800), 20 + 10 * number) for _ in range(3)])
            photograph.save(folder / f"{number:04}.jpg", quality=80)
        else:
            (folder / f"{number:04}.jpg").write_bytes((folder / f"{random.Random(number).randrange(6):04}.jpg").read_bytes())


def load(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jpg"))


def thumbnail(path: Path) -> bytes:
    with Image.open(path) as photograph:
        photograph.thumbnail((320, 320))
        written = io.BytesIO()
        photograph.save(written, "JPEG")
        return written.getvalue()


def plain(paths):
    return [thumbnail(path) for path in paths]


def ours(paths):
    from just_distribute import distribute

    return distribute(thumbnail, job="compute")(paths)


def joblib(paths):
    from joblib import Parallel, delayed

    return Parallel(n_jobs=-1)(delayed(thumbnail)(path) for path in paths)


def executor():
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor() as pool:
        yield lambda paths: list(pool.map(thumbnail, paths, chunksize=10))


def threads():
    import os
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield lambda paths: list(pool.map(thumbnail, paths))


def check(result):
    return hashlib.sha256(b"".join(result)).hexdigest()
