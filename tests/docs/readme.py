#!/usr/bin/env python3
"""The commands of README.md, each as written, in a fresh clone, with the time that each takes.

    tests/docs/readme.py target/release    the short ones, with programs that are built already
    tests/docs/readme.py                   all: set-up and tests as well, which takes half an hour

A command may miss an objective (exit code 10) where README says so; any other failure is a mistake.
"""

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.M | re.S)
# Set-up and tests: where the programs are there already, the first is done and the second is what calls this.
LONG = re.compile(r"cargo |tests/run")
MISSES = 10


def commands():
    for block in BLOCK.findall((ROOT / "README.md").read_text()):
        yield from (line for line in block.replace("\\\n", "").splitlines() if line)


def main():
    programs = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else None
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        if programs:
            (clone / "target").mkdir()
            (clone / "target/release").symlink_to(programs)
        for command in commands():
            if programs and LONG.match(command):
                continue
            begin = time.monotonic()
            run = subprocess.run(["bash", "-c", command], cwd=clone, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            print(f"{time.monotonic() - begin:8.1f} s  {command}", flush=True)
            if run.returncode not in (0, MISSES):
                failures += 1
                print(f"README.md: `{command}` ends with {run.returncode}:\n{run.stdout}", file=sys.stderr)
    sys.exit(1 if failures else 0)


main()
