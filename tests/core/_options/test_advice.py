"""Options and jobs by the names that they have elsewhere: the error says what they are called here."""

from __future__ import annotations

from typing import Any

import pytest
from jd_core import distribute
from jd_core._options import advice
from jd_core._options.options import COMMON
from jd_core.backend import registry


@pytest.mark.parametrize(
    ("job", "options", "message"),
    [
        ("compute", {"n_jobs": 4}, r"has no option 'n_jobs' \(given 4\); did you mean 'workers'\?"),
        ("compute", {"n_jobs": -1}, r"did you mean 'workers'\?"),
        ("io", {"max_workers": 4}, r"did you mean 'workers'\?"),
        ("io", {"backend": "threads"}, r"did you mean job='threads'\?"),
        ("io", {"retry": 3}, r"did you mean 'retries'\?"),
        ("compute", {"max_retries": 3}, r"did you mean 'retries'\?"),
        ("web", {"rate_limit": 3}, r"did you mean 'max_per_second'\?"),
        ("compute", {"rate_limit": 3}, r"max_per_second is an option of job='io' and job='web'\."),
        ("compute", {"max_per_second": 3}, r"max_per_second is an option of job='io' and job='web'\."),
        ("serial", {"max_per_second": 3}, r"max_per_second is an option of job='io' and job='web'\."),
        ("io", {"start_method": "spawn"}, r"start_method is an option of job='compute'\."),
        ("compute", {"verbose": 10}, r"did you mean 'progress'\?"),
        ("compute", {"return_as": "generator"}, r"f\.stream\(\.\.\.\) yields results one by one"),
        ("compute", {"nproc": 3}, r"did you mean 'workers'\?"),
        ("compute", {"cpus": 3}, r"did you mean 'workers'\?"),
        ("compute", {"gpus": [0]}, r"did you mean 'devices'\?"),
        ("compute", {"timeout_seconds": 3}, r"did you mean 'timeout'\?"),
        ("compute", {"max_per_minute": 3}, r"max_per_second is an option of job='io' and job='web'\."),
        ("compute", {"wokers": 3}, r"did you mean 'workers'\?"),
        ("io", {"xyzzy": 3}, r"has no option 'xyzzy' \(given 3\)\. Its options: max_per_second, job, workers"),
    ],
)
def test_options_that_do_not_exist(job: str, options: dict[str, Any], message: str) -> None:
    """The option's name here, or the jobs that have it, for the decorator and for `.options`."""
    with pytest.raises(TypeError, match=message):
        distribute(job=job, **options)
    with pytest.raises(TypeError, match=message):
        distribute(abs, job=job).options(**options)


def test_options_of_ray_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """``num_gpus`` is Ray's. Where jd-ray is not installed, nobody knows, and nothing is advised."""
    if "ray" in registry.installed():
        with pytest.raises(TypeError, match=r"num_gpus is an option of job='ray'\."):
            distribute("compute", num_gpus=1)
    monkeypatch.setitem(registry.OWN, "ray", registry.Own("jd-ray", "no_such_package.backend:RayBackend"))
    with pytest.raises(TypeError, match=r"has no option 'num_gpus' \(given 1\)\. Its options"):
        distribute("compute", num_gpus=1)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        *(("async", "web"), ("ASYNCIO", "web"), ("threading", "io"), ("multiprocessing", "compute"), ("loky", "compute")),
        *(("distributed", "ray"), ("sequential", "serial"), ("thread", "threads"), ("process", "processes")),
        *(("IO", "io"), ("Web", "web"), ("Ray", "ray")),
    ],
)
def test_jobs_by_other_names(name: str, meant: str) -> None:
    """``job="async"`` is web."""
    with pytest.raises(ValueError, match=f"unknown job='{name}'; did you mean '{meant}'"):
        distribute(job=name)
    with pytest.raises(ValueError, match=f"unknown job='{name}'; did you mean '{meant}'"):
        distribute(name)


@pytest.mark.parametrize(("surplus", "meant"), [(8, "workers=8"), ("io", "job='io'")])
def test_options_by_position(surplus: Any, meant: str) -> None:
    """``distribute("io", 8)`` is refused with the keyword; so is it for a function, and for `.options`."""
    message = rf"options are given by keyword, and {surplus!r} is given by position; did you mean {meant}\?"
    for call in (lambda: distribute("io", surplus), lambda: distribute(abs, surplus), lambda: distribute(None, surplus)):
        with pytest.raises(TypeError, match=message):
            call()
    with pytest.raises(TypeError, match=message):
        distribute(abs).options("io", surplus)


def test_the_advice_names_what_there_is() -> None:
    """Every name that is advised is one of an option or a job, and none hides an option that exists."""
    own = {name for job in registry.installed() for name in registry.backend_class(job).options}
    assert set(advice.ELSEWHERE.values()) <= {"job", *COMMON, *own}
    assert not {*advice.ELSEWHERE, *advice.WAYS} & {"job", *COMMON}
    assert set(registry.ELSEWHERE.values()) <= set(registry.OWN)
    assert not set(registry.ELSEWHERE) & {*registry.OWN, *registry.ALIASES}
