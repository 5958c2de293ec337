#!/usr/bin/env python3
"""The documents of the repository: links lead somewhere, files that are named exist, and commands print what a page shows.

    tests/docs/check.py                    links and files only
    tests/docs/check.py target/release     the output of commands as well, with the programs of that folder

An `sh` block that a `text` block follows, with nothing but prose between, is run by bash in a temporary folder with the
scenarios of the repository; the `text` block is what it prints, errors included. A line `...` in it stands for any number of
lines. Other fences (`console`, `toml`, none) and `sh` blocks without output are not run.
"""

import difflib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
LINK = re.compile(r"\[[^\]]*\]\(([^()\s]+)\)")
# A file of the repository; capitals stand for any name, as in `src/scenario/PART.rs`.
FILE = re.compile(r"`((?:benches|crates|deploy|docs|examples|scenarios|src|tests)/[\w./-]*)`")
# What a long command tells of its progress depends on the machine.
PROGRESS = re.compile(r"\d+ s: \d+ (of \d+ )?replications simulated$")
PLACEHOLDER = re.compile(r"\b[A-Z]{4,}\b(?!\.md)")


def pages():
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
                            cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for path in (ROOT / line for line in listed.splitlines()) if path.exists()]


def anchors(page):
    """The anchors of a page, as GitHub makes them of its headings."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def broken_links(page):
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        if not place.exists():
            yield f"{target} leads nowhere"
        elif anchor and place.suffix == ".md" and anchor not in anchors(place):
            yield f"{target}: no such heading"


def missing_files(page):
    for name in FILE.findall(FENCE.sub("", page.read_text())):
        if not PLACEHOLDER.search(name) and not any((folder / name).exists() for folder in (ROOT, page.parent)):
            yield f"{name} does not exist"


def examples(page):
    """Pairs of a command and what the page says that it prints."""
    blocks = FENCE.findall(page.read_text())
    for (language, command), (following, output) in zip(blocks, blocks[1:]):
        if (language, following) == ("sh", "text"):
            yield command, output


def matches(expected, found):
    """Whether the lines are those expected, where `...` stands for any number of lines."""
    pattern = "".join(r"(?:.*\n)*?" if line == "..." else re.escape(line) + r" *\n" for line in expected)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in found)) is not None


def wrong_outputs(page, programs, folder):
    for command, output in examples(page):
        environment = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder), "LC_ALL": "C.UTF-8"}
        run = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
        expected, found = output.splitlines(), [line for line in run.stdout.splitlines() if not PROGRESS.match(line)]
        if not matches(expected, found):
            difference = difflib.unified_diff(expected, found, "the page", "the program", lineterm="", n=0)
            yield "\n".join([command.strip(), *difference])


def workplace(folder, programs):
    """What a reader who built the repository has in his folder."""
    for name in ("scenarios", "docs", "deploy", "tests"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "reports").mkdir()
    (folder / "reports/baseline.json").symlink_to(ROOT / "reports/baseline.json")
    (folder / "target").mkdir()
    (folder / "target/release").symlink_to(programs)


def main():
    programs = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else None
    failures = [f"{page.relative_to(ROOT)}: {wrong}" for page in pages()
                for wrong in [*broken_links(page), *missing_files(page)]]
    ran = 0
    if programs:
        for page in pages():
            with tempfile.TemporaryDirectory() as folder:
                workplace(Path(folder), programs)
                failures += [f"{page.relative_to(ROOT)}: {wrong}" for wrong in wrong_outputs(page, programs, Path(folder))]
                ran += len(list(examples(page)))
    for failure in failures:
        print(f"docs: {failure}", file=sys.stderr)
    print(f"{len(pages())} pages, {ran} commands run, {len(failures)} mistakes")
    sys.exit(1 if failures else 0)


main()
