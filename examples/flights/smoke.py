"""Asks a served model about four real flights and checks that it answers like a model of this project: python
smoke.py --url http://127.0.0.1:5101

Only the standard library, so that it runs anywhere. Ends with 1 and a line that says what is wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
import urllib.request

COLUMNS = ["carrier", "origin", "dest", "distance", "weekday", "hour", "minute", "arrival_hour"]
COLUMNS += ["temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"]
# From the test month; the last has no weather, and goes to an airport that does not exist.
FLIGHTS = [
    ["AA", "JFK", "MIA", 1089.0, 0.0, 5.0, 40.0, 8.0, 71.06, 69.98, 96.39, 8.05546, 0.0, 1014.0, 0.5],
    ["UA", "LGA", "ORD", 733.0, 0.0, 12.0, 0.0, 13.0, 73.94, 69.98, 87.45, 8.05546, 0.02, 1015.1, 10.0],
    ["DL", "JFK", "PDX", 2454.0, 1.0, 19.0, 0.0, 22.0, 73.94, 71.06, 90.73, 12.658579999999999, 0.01, 1021.3, 10.0],
    ["B6", "JFK", "XXX", 273.0, 1.0, 13.0, 45.0, 15.0, None, None, None, None, None, None, None],
]
TIMEOUT = 10  # seconds


def call(url: str, body: bytes | None = None) -> tuple[int, bytes]:
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"} if body else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError as error:
        raise SystemExit(f"smoke: {url} does not answer: {error}") from None


def check(url: str) -> list[float]:
    """The four probabilities of being late; SystemExit when anything is not as it should be."""
    status, _ = call(f"{url}/ping")
    if status != 200:
        raise SystemExit(f"smoke: {url}/ping answers {status}")
    body = json.dumps({"dataframe_split": {"columns": COLUMNS, "data": FLIGHTS}}).encode()
    status, answer = call(f"{url}/invocations", body)
    if status != 200:
        raise SystemExit(f"smoke: {url}/invocations answers {status}: {answer[:500].decode(errors='replace')}")
    predictions = json.loads(answer)["predictions"]
    if len(predictions) != len(FLIGHTS):
        raise SystemExit(f"smoke: {len(FLIGHTS)} flights, {len(predictions)} answers")
    for pair in predictions:
        if len(pair) != 2 or not all(0.0 <= value <= 1.0 for value in pair) or abs(sum(pair) - 1.0) > 1e-6:
            raise SystemExit(f"smoke: {pair} is not a pair of probabilities")
    late = [pair[1] for pair in predictions]
    if len(set(late[:3])) == 1:
        raise SystemExit(f"smoke: three different flights, one answer: {late[0]}")
    status, answer = call(f"{url}/invocations", b'{"dataframe_split": 1')
    if status != 400:
        raise SystemExit(f"smoke: broken JSON is answered with {status}, expected 400")
    return late


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:5101")
    late = check(parser.parse_args().url.rstrip("/"))
    sys.stdout.write(f"smoke: ok, late with {', '.join(f'{value:.0%}' for value in late)}\n")


if __name__ == "__main__":
    main()
