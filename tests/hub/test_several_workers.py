"""Several processes with a broker that is for one are warned of."""

import pytest

from hubbub import Hub
from hubbub.hub.workers import workers_told


@pytest.mark.parametrize(
    ("line", "workers"),
    [
        ("/usr/bin/uvicorn main:app --workers 3", 3),
        ("/usr/bin/uvicorn main:app --workers=4 --port 80", 4),
        ("/lib/uvicorn/__main__.py --workers 2 main:app", 2),
        ("gunicorn main:app -k uvicorn_worker.UvicornWorker -w 3", 3),
        ("gunicorn -w5 main:app", 5),
        ("hubbub run main:app --workers 2", 2),
        ("fastapi run main.py --workers 2", 2),
        ("uvicorn main:app", 1),
        ("uvicorn main:app --workers", 1),
        ("uvicorn main:app --workers many", 1),
        ("uvicorn main:app --workers 3 --reload", 1),
        ("celery -A tasks worker -w 3", 1),
        ("/app/main.py -w 3", 1),
        ("", 1),
    ],
)
def test_the_workers_are_those_of_the_command_line(line: str, workers: int) -> None:
    assert workers_told(line.split(), {}) == workers


def test_the_environment_counts_where_the_command_line_is_silent() -> None:
    assert workers_told(["uvicorn", "main:app"], {"WEB_CONCURRENCY": "3"}) == 3
    assert workers_told(["uvicorn", "main:app", "--workers", "1"], {"WEB_CONCURRENCY": "3"}) == 1
    assert workers_told(["pytest"], {"WEB_CONCURRENCY": "3"}) == 1


async def test_a_hub_that_is_one_of_several_says_that_its_broker_is_for_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with Hub("memory://"):
        assert caplog.messages == []
    monkeypatch.setattr("sys.argv", ["uvicorn", "main:app", "--workers", "3"])
    async with Hub("memory://"):
        (said,) = caplog.messages
    assert "told to start 3" in said
