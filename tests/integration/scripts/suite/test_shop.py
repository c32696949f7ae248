"""A user's tests: what pytest's fixtures do is there in the calls, on every job."""

import logging
import os

import pytest
import shop

JOBS = os.environ["JOBS"].split()


@pytest.fixture(params=JOBS)
def job(request):
    return request.param


@pytest.mark.parametrize("function", [shop.cost, shop.cost_later])
def test_capsys(job, function, capsys):
    shop.on(job, function)(range(3))
    assert sorted(capsys.readouterr().out.splitlines()) == ["price 0", "price 1", "price 2"]
    print("here")
    assert capsys.readouterr().out == "here\n"


@pytest.mark.parametrize("function", [shop.cost, shop.cost_later])
def test_caplog(job, function, caplog):
    with caplog.at_level(logging.WARNING, "shop"):
        shop.on(job, function)(range(3))
    found = sorted(record.getMessage() for record in caplog.records if record.name == "shop")
    assert found == ["price 0", "price 1", "price 2"]
    caplog.clear()
    with caplog.at_level(logging.ERROR, "shop"):
        shop.on(job, function)(range(3))
    assert not [record for record in caplog.records if record.name == "shop"]


@pytest.mark.parametrize("function", [shop.cost, shop.cost_later])
@pytest.mark.parametrize("rate", [5, 7])
def test_monkeypatch_a_value(job, function, rate, monkeypatch):
    before = shop.on(job, function)
    assert before(range(3)) == [1, 3, 5]
    monkeypatch.setattr(shop, "rate", rate)
    assert before(range(3), discount=1) == shop.on(job, function)(range(3), discount=1) == [0, rate, 2 * rate]
    monkeypatch.undo()
    assert before(range(3)) == [1, 3, 5]


@pytest.mark.parametrize("function", [shop.cost, shop.cost_later])
def test_monkeypatch_a_function(job, function, monkeypatch):
    """A process of its own imports its own functions (docs/how-to/debugging.md): its calls are made here for once."""
    if job == "compute":
        monkeypatch.setenv("JUST_DISTRIBUTE_SERIAL", "1")
    distributed = shop.on(job, function)
    assert distributed(range(3)) == [1, 3, 5]
    monkeypatch.setattr(shop, "fee", lambda price: 10 * price)
    assert distributed(range(3)) == [0, 12, 24]
    monkeypatch.undo()
    assert distributed(range(3)) == [1, 3, 5]


def test_monkeypatch_the_surroundings(job, monkeypatch, tmp_path):
    distributed = shop.on(job, shop.surroundings)
    monkeypatch.setenv("SHOP", "open")
    monkeypatch.chdir(tmp_path)
    assert distributed(["SHOP"]) == [("open", tmp_path.name)]
    monkeypatch.delenv("SHOP")
    assert distributed(["SHOP"]) == [(None, tmp_path.name)]
    monkeypatch.undo()
    assert distributed(["SHOP"])[0][1] != tmp_path.name


def test_a_local_function(job, tmp_path):
    """What a test defines is called as what a module has, with its fixtures in its closure."""

    def write(number):
        path = tmp_path / f"{number}.txt"
        path.write_text(str(number))
        return path

    assert [path.read_text() for path in shop.on(job, write)(range(3))] == ["0", "1", "2"]


def test_assertions(job):
    with pytest.raises(AssertionError, match="too dear") as caught:
        shop.on(job, shop.checked)(range(5))
    assert "distribute: checked(): call 3 of 5 failed: price=3" in caught.value.__notes__


def test_warnings(job):
    with pytest.warns(DeprecationWarning, match="an old price"):
        shop.on(job, shop.deprecated)(range(2))


@pytest.mark.filterwarnings("error::DeprecationWarning")
def test_warnings_as_errors(job):
    with pytest.raises(DeprecationWarning, match="an old price"):
        shop.on(job, shop.deprecated)(range(2))
