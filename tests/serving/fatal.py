"""A model that does to its process what column `x` says, and the servers that are put before it."""

from __future__ import annotations

from pathlib import Path

FATAL = """
import ctypes, os, time
import mlflow
class Fatal(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [self.one(float(x)) for x in model_input["x"]]
    def one(self, x):
        with open(PREDICTED, "a") as file:
            print(os.getpid(), x, file=file)
        if x == -1:
            os._exit(3)
        if x == -2:
            ctypes.string_at(0)
        if x == -3:
            while True:
                time.sleep(0.01)
        if x == -4 and os.path.exists(PREDICTED + ".kill"):
            os.unlink(PREDICTED + ".kill")
            os.kill(os.getpid(), 9)
        if x == -6:
            raise SystemExit(4)
        while x == -5 and not os.path.exists(PREDICTED + ".go"):
            time.sleep(0.01)
        return os.getpid()
mlflow.models.set_model(Fatal())
"""
EXIT, SEGV, HANG, KILLED_ONCE, LONG, LEAVE, FINE = -1.0, -2.0, -3.0, -4.0, -5.0, -6.0, 10.0


def save(directory: Path) -> Path:
    """Returns the model's directory; every prediction is a line (pid, x) in `predicted` beside it."""
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    code = directory / "fatal_model.py"
    code.write_text(f"PREDICTED = {str(directory / 'predicted')!r}\n{FATAL}")
    signature = ModelSignature(inputs=Schema([ColSpec("double", "x")]))
    mlflow.pyfunc.save_model(
        directory / "model", python_model=str(code), signature=signature, pip_requirements=["mlflow"]
    )
    return directory / "model"


def predicted(model: Path, x: float) -> list[int]:
    """Returns the processes that began to predict `x`, in the order in which they did."""
    path = model.parent / "predicted"
    lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    return [int(pid) for pid, value in lines if float(value) == x]
