"""The five words that tell most about each of 5,000 texts: by TF-IDF, as scikit-learn weighs it."""

import math
import random
import re
from collections import Counter
from pathlib import Path

SIZE, QUICK = 5_000, 50

WORD = re.compile(r"\w+")


def make(folder: Path, size: int) -> None:
    numbers = random.Random(7)
    words = ["".join(numbers.choices("abcdefghijklmnoprstuvw", k=numbers.randint(2, 9))) for _ in range(20_000)]
    common = [1 / rank for rank in range(1, len(words) + 1)]
    texts = (" ".join(numbers.choices(words, common, k=400)) for _ in range(size))
    (folder / "texts.txt").write_text("\n".join(texts), encoding="utf-8")


def load(folder: Path) -> list[str]:
    return (folder / "texts.txt").read_text(encoding="utf-8").split("\n")


def count(text: str) -> Counter[str]:
    return Counter(WORD.findall(text.lower()))


def rarity(counts: list[Counter[str]]) -> dict[str, float]:
    texts = Counter(word for one in counts for word in one)
    return {word: math.log((1 + len(counts)) / (1 + number)) + 1 for word, number in texts.items()}


def best(counts: Counter[str], *, rare: dict[str, float]) -> list[str]:
    return sorted(counts, key=lambda word: (-round(counts[word] * rare[word], 9), word))[:5]


def plain(texts):
    counts = [count(text) for text in texts]
    rare = rarity(counts)
    return [best(one, rare=rare) for one in counts]


def ours(texts):
    from just_distribute import distribute

    counts = distribute(count, job="compute")(texts)
    return distribute(best, job="compute")(counts, rare=rarity(counts))


def joblib(texts):
    from joblib import Parallel, delayed

    with Parallel(n_jobs=-1) as parallel:
        counts = parallel(delayed(count)(text) for text in texts)
        rare = rarity(counts)
        return parallel(delayed(best)(one, rare=rare) for one in counts)


def executor():
    import functools
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor() as pool:

        def run(texts):
            counts = list(pool.map(count, texts, chunksize=500))
            return list(pool.map(functools.partial(best, rare=rarity(counts)), counts, chunksize=500))

        yield run


def sklearn(texts):
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(token_pattern=WORD.pattern, norm=None)
    weights, words = vectorizer.fit_transform(texts), vectorizer.get_feature_names_out()
    rows = (weights[index] for index in range(len(texts)))
    heavy = (sorted(zip(-row.data.round(9), words[row.indices], strict=True))[:5] for row in rows)
    return [[str(word) for _, word in one] for one in heavy]


def check(result):
    return result
