"""Results that mean harm or are damaged, for report_page.py: what a drive's name, a note or a file
from elsewhere may hold."""

import json
import os

EVIL = [
    "</script><script>window.owned=1</script>",
    "<img src=x onerror=window.owned=2>",
    '"><svg onload=window.owned=3>',
    "'-alert(1)-'\u2028\u2029<!--<script>",
    "@@NONCE@@ @@RESULTS@@ ${window.owned=4} javascript:window.owned=5",
    "W" * 5000,
]


def fill(value, at=0):
    """Every text replaced by a hostile one."""
    if isinstance(value, dict):
        return {
            key: (
                fill(own, at + i)
                if key not in ("schema", "command", "policy", "regime", "part", "rw")
                else own
            )
            for i, (key, own) in enumerate(value.items())
        }
    if isinstance(value, list):
        return [fill(own, at + i) for i, own in enumerate(value)]
    return EVIL[at % len(EVIL)] if isinstance(value, str) else value


def write(directory, name, value):
    with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
        json.dump(value, file)


def write_results(directory):
    with open(os.path.join(directory, "sweep.json"), encoding="utf-8") as file:
        sweep = json.load(file)
    hostile = fill(sweep)
    hostile["answer"] = EVIL[0]
    hostile["rig"]["target"] = {"model": EVIL[1], "drive": EVIL[2], "filesystem": EVIL[4]}
    hostile["host"][EVIL[1]] = EVIL[2]
    hostile["__proto__"] = {"toString": 1}
    hostile["constructor"] = EVIL[0]
    write(directory, "hostile.json", hostile)
    spans = [
        {"ph": "X", "cat": "read", "name": EVIL[0], "ts": 1, "dur": 1e300},
        {"ph": "X", "cat": EVIL[1], "name": "x", "ts": -1, "dur": -5},
        {"ph": "X", "cat": "compute", "name": "layer 1", "ts": 5, "dur": 3},
    ]
    write(
        directory,
        "hostile-trace.json",
        {
            "traceEvents": spans
            + [{"name": "process_name", "ph": "M", "args": {"name": EVIL[0]}}, 7, None]
        },
    )
    write(directory, "missing.json", {"schema": "refill/1", "command": "sweep"})
    write(
        directory,
        "wrong-kinds.json",
        {
            "schema": "refill/1",
            "command": "calibrate",
            "answer": 7,
            "points": "none",
            "summary": 3,
            "compute": [1, None, "x", {"n_new": "y"}, []],
            "storage": [None, {"read_bytes_per_s": []}],
            "parts": {"a": 1},
            "warnings": {"x": 2},
            "rig": [1],
            "host": "box",
            "config": [None],
            "break_even": [],
            "checks": 5,
            "command_line": {"0": 1},
            "refill": None,
            "started": [],
        },
    )
    with open(os.path.join(directory, "storage.json"), encoding="utf-8") as file:
        storage = json.load(file)
    write(directory, "hostile-storage.json", fill(storage))
    write(
        directory,
        "wrong-storage.json",
        {
            "schema": "refill/1",
            "command": "storage",
            "targets": [None, 3, {"target": 5, "summary": [7, {"best_read_row": -1}]}],
            "rows": [1, None, {"rw": 7}, {"rw": "read", "read_bytes_per_s": {"median": 1e9}}],
        },
    )
    huge = dict(sweep)
    points = [dict(point) for point in sweep["points"]]
    for point in points:
        point["first_token_s"] = {**point["first_token_s"], "samples": [0.125] * 100000}
    huge["points"] = points + [
        {"alpha": i / 5000, "policy": "overlap", "n_tokens": points[0]["n_tokens"]}
        for i in range(5000)
    ]
    huge["warnings"] = [{"text": "w" * 50}] * 3000
    write(directory, "huge.json", huge)


def between(page, begin, end):
    start = page.index(begin) + len(begin)
    return start, page.index(end, start)


DATA = '<script type="application/json" id="results">'


def write_edited(directory, name, to):
    """The page with another schema in its data, as no refill would write it."""
    with open(os.path.join(directory, name), encoding="utf-8") as file:
        page = file.read()
    start, end = between(page, DATA, "</script>")
    report = json.loads(page[start:end])
    report["results"][0]["result"]["schema"] = "refill/9"
    report["results"].append(None)
    report["results"].append({"file": 3})
    data = json.dumps(report).replace("<", "\\u003c")
    with open(os.path.join(directory, to), "w", encoding="utf-8") as file:
        file.write(page[:start] + data + page[end:])


def write_bare(directory, template, name, to):
    """The template with the data of a page that refill wrote."""
    with open(os.path.join(directory, name), encoding="utf-8") as file:
        page = file.read()
    with open(template, encoding="utf-8") as file:
        bare = file.read()
    start, end = between(page, DATA, "</script>")
    with open(os.path.join(directory, to), "w", encoding="utf-8") as file:
        file.write(bare.replace("@@NONCE@@", "bare").replace("@@RESULTS@@", page[start:end]))


def flattened(value):
    """All numbers of nested objects by their last name; the first of a name counts."""
    found = {}
    if isinstance(value, dict):
        for key, own in value.items():
            if isinstance(own, (int, float)) and not isinstance(own, bool):
                found.setdefault(key, own)
            elif isinstance(own, dict) and isinstance(own.get("value"), (int, float)):
                found.setdefault(key, own["value"])
            for name, number in flattened(own).items():
                found.setdefault(name, number)
    elif isinstance(value, list):
        for own in value:
            for name, number in flattened(own).items():
                found.setdefault(name, number)
    return found


def contrast(one, other):
    """WCAG's ratio of two #rrggbb."""

    def luminance(color):
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)
