"""What Evidently and NannyML find on given rows, for the tests: makes an environment for each below the temporary
directory, runs itself there, and writes rows, values and versions into tests/monitoring/peers.json.

    python benchmarks/_monitoring_peers.py [--python python3.11]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).resolve().parent.parent / "tests" / "monitoring" / "peers.json"
PEERS = {
    "evidently": ["evidently==0.7.23", "pandas==2.3.3"],
    # It imports statsmodels without asking for it.
    "nannyml": ["nannyml==0.13.1", "statsmodels==0.14.4", "scipy==1.14.1", "pandas==2.2.3"],
}
SEED = 13
METRICS = ("roc_auc", "accuracy", "precision", "recall", "f1")


def columns() -> list[dict[str, Any]]:
    """Returns columns of a reference and a window, of every kind that a distance has to bear."""
    import numpy as np

    rng = np.random.default_rng(SEED)

    def rounded(values: Any) -> list[float]:
        return [round(float(each), 4) for each in values]

    words = np.array(["ATL", "ORD", "JFK", "Zürich", "東京"])
    made: list[tuple[str, Any, Any]] = [
        ("normal", rounded(rng.normal(0, 1, 500)), rounded(rng.normal(0.3, 1.1, 200))),
        ("the same", rounded(rng.normal(0, 1, 400)), rounded(rng.normal(0, 1, 400))),
        ("skewed", rounded(rng.lognormal(0, 1.5, 600)), rounded(rng.lognormal(0.2, 1.5, 150))),
        ("apart", rounded(rng.normal(0, 1, 100)), rounded(rng.normal(50, 1, 100))),
        ("whole numbers", rng.integers(0, 40, 500).tolist(), rng.integers(5, 45, 120).tolist()),
        ("few numbers", rng.integers(0, 6, 300).tolist(), rng.integers(1, 6, 90).tolist()),
        ("tiny window", rounded(rng.normal(0, 1, 300)), rounded(rng.normal(0, 1, 10))),
        ("larger window", rounded(rng.normal(0, 1, 60)), rounded(rng.normal(0, 1, 900))),
        ("words", rng.choice(words, 400, p=[0.4, 0.3, 0.2, 0.06, 0.04]).tolist(), rng.choice(words, 150).tolist()),
        ("a word less", rng.choice(words, 300).tolist(), rng.choice(words[:4], 100).tolist()),
        ("a new word", rng.choice(words[:4], 300).tolist(), rng.choice(words, 100).tolist()),
    ]
    return [{"name": name, "reference": before, "current": now} for name, before, now in made]


def scores() -> list[dict[str, Any]]:
    """Returns rows with scores, classes and truth, and windows without truth: well calibrated, too sure, shifted."""
    import numpy as np

    rng = np.random.default_rng(SEED)
    made: list[dict[str, Any]] = []
    for name, power, shift in (("calibrated", 1.0, 0.0), ("too sure", 2.5, 0.0), ("shifted", 1.0, 0.8)):
        before, now = rng.normal(0, 1.2, 2000), rng.normal(shift, 1.2, 500)
        chance = 1 / (1 + np.exp(-before))
        truth = (rng.random(2000) < chance).astype(int)
        said, said_later = (1 / (1 + np.exp(-power * each)) for each in (before, now))
        made.append(
            {
                "name": name,
                "reference": [round(float(each), 4) for each in said],
                "truth": truth.tolist(),
                "current": [round(float(each), 4) for each in said_later],
            }
        )
    return made


def ask_evidently(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns what Evidently's tests find, by column and test."""
    import evidently
    import pandas as pd
    from evidently.legacy.calculations.stattests import (
        chi_stat_test,
        jensenshannon_stat_test,
        ks_stat_test,
        psi_stat_test,
        wasserstein_stat_test,
    )
    from evidently.legacy.core import ColumnType

    found: dict[str, Any] = {}
    for each in rows:
        before, now = pd.Series(each["reference"]), pd.Series(each["current"])
        words = isinstance(each["reference"][0], str)
        kind = ColumnType.Categorical if words else ColumnType.Numerical
        tests = {"psi": psi_stat_test, "js": jensenshannon_stat_test}
        tests |= {"chi2_p": chi_stat_test} if words else {"ks_p": ks_stat_test, "wasserstein": wasserstein_stat_test}
        found[each["name"]] = {name: float(test(before, now, kind, 0.1).drift_score) for name, test in tests.items()}
    return {"version": evidently.__version__, "found": found}


def ask_nannyml(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns what CBPE estimates, by case and metric, and whether it calibrated."""
    import nannyml
    import pandas as pd

    found: dict[str, Any] = {}
    for each in rows:
        before = pd.DataFrame({"p": each["reference"], "y": each["truth"]})
        now = pd.DataFrame({"p": each["current"]})
        for table in (before, now):
            table["label"] = (table["p"] >= 0.5).astype(int)
        cbpe = nannyml.CBPE(
            y_pred_proba="p",
            y_pred="label",
            y_true="y",
            problem_type="classification_binary",
            metrics=list(METRICS),
            chunk_size=len(now),
        )
        result = cbpe.fit(before).estimate(now).filter(period="analysis").to_df()
        found[each["name"]] = {
            "needs_calibration": bool(cbpe.needs_calibration),
            **{metric: float(result[(metric, "value")].iloc[0]) for metric in METRICS},
        }
    return {"version": nannyml.__version__, "found": found}


def ask(peer: str, python: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns what a peer answers in an environment of its own, which is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix=f"podium-{peer}-") as directory:
        subprocess.run([python, "-m", "venv", directory], check=True, timeout=300)
        program = Path(directory) / "bin" / "python"
        subprocess.run([program, "-m", "pip", "install", "-q", *PEERS[peer]], check=True, timeout=1800)
        done = subprocess.run(
            [program, __file__, "--ask", peer],
            input=json.dumps(rows),
            capture_output=True,
            text=True,
            timeout=600,
        )
    if done.returncode:
        raise SystemExit(f"{peer} failed: {done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--python", default="python3.11")
    parser.add_argument("--ask", choices=PEERS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.ask:
        rows = json.load(sys.stdin)
        print(json.dumps((ask_evidently if asked.ask == "evidently" else ask_nannyml)(rows)))
        return 0
    drift, quality = columns(), scores()
    document = {
        "columns": drift,
        "scores": quality,
        "evidently": ask("evidently", asked.python, drift),
        "nannyml": ask("nannyml", asked.python, quality),
    }
    OUTPUT.write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"written: {OUTPUT}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
