"""What the children of these tests do: `main` of a module that is found on PYTHONPATH."""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path


def main(arguments: list[str]) -> int:
    return ACTIONS[arguments[0]](*arguments[1:])


def tell() -> int:
    import numpy

    facts = {
        "arguments": sys.argv[1:],
        "cwd": os.getcwd(),
        "env": dict(os.environ),
        "umask": os.umask(0),
        "session": os.getsid(0) == os.getpid(),
        "descriptors": sorted(int(entry) for entry in os.listdir("/proc/self/fd")),
        "ignored": [number for number in range(1, 32) if signal.getsignal(number) is signal.SIG_IGN],
        "blocked": [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
        "random": [random.random(), float(numpy.random.random())],
        "mlflow": "mlflow.pyfunc" in sys.modules,
        "threads": len(os.listdir("/proc/self/task")),
        "line": Path("/proc/self/cmdline").read_text().replace("\0", " ").strip(),
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "read": sys.stdin.read(),
    }
    print(json.dumps(facts))
    return 0


def end(code: str) -> int:
    return int(code)


def leave(code: str) -> int:
    sys.exit(code if not code.isdigit() else int(code))


def fail() -> int:
    raise ValueError("the child failed")


def die() -> int:
    os.kill(os.getpid(), signal.SIGSEGV)
    return 0


def wait() -> int:
    print(os.getpid(), flush=True)
    time.sleep(600)
    return 0


def mark(path: str) -> int:
    Path(path).touch()
    return 0


def copy(descriptor: str) -> int:
    with os.fdopen(int(descriptor)) as file:
        sys.stdout.write(file.read())
    return 0


ACTIONS = {"tell": tell, "end": end, "leave": leave, "fail": fail, "die": die, "wait": wait, "mark": mark, "copy": copy}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
