#!/usr/bin/env python3
"""What compare-filesystems.sh measured, put side by side: compare-filesystems.py WORK OUT.

Reads WORK/storage.json, the result of `refill storage` over WORK/NAME of each filesystem. Writes
OUT/filesystems.json, .csv (a row a setting), .md (a row a filesystem) and .dat (for gnuplot), and
prints tables. A rate is the median over the rounds, with the lowest and highest; beside it stands
the median of the paired ratios to the directory that the images lie on: both of a pair are of one
round. A filesystem's own ratio is the median over the pairs of all settings with its 95% interval
(bootstrap): where that holds 1, the filesystem cannot be told from the directory here.
"""
import csv
import json
import os
import random
import statistics
import sys

SETTING = ("rw", "page_bytes", "queue_depth")
COLUMNS = ["filesystem", *SETTING, "rounds", "gb_per_s", "low", "high", "ratio", "us_per_token",
           "request_p99_s", "cpu_s_per_gb", "wrong_bytes", "cold"]


def name_of(target):
    return os.path.basename(target)


def rate_of(row):
    return row["read_bytes_per_s" if row["rw"] == "read" else "write_bytes_per_s"]


def setting_of(row):
    return tuple(row[key] for key in SETTING)


def ratios_of(row, base):
    if base is None:
        return []
    return [mine / theirs
            for mine, theirs in zip(rate_of(row)["samples"], rate_of(base)["samples"])]


def side_by_side(result):
    measured = [row for row in result["rows"] if not row["refused"] and rate_of(row)]
    bases = {setting_of(row): row for row in measured if name_of(row["target"]) == "directory"}
    rows = []
    for row in measured:
        samples = [sample / 1e9 for sample in rate_of(row)["samples"]]
        kind = "read" if row["rw"] == "read" else "write"
        ratios = ratios_of(row, bases.get(setting_of(row)))
        rows.append({
            "filesystem": name_of(row["target"]), **dict(zip(SETTING, setting_of(row))),
            "rounds": len(samples), "gb_per_s": statistics.median(samples), "low": min(samples),
            "high": max(samples), "ratio": statistics.median(ratios) if ratios else None,
            "paired_ratios": [round(ratio, 4) for ratio in ratios],
            "us_per_token": 1e6 * row[f"storage_{kind}_s_per_token"],
            "request_p99_s": row["page_latency_s"]["p99"],
            "cpu_s_per_gb": row["cpu_s_per_gb"]["median"], "wrong_bytes": row["wrong_bytes"],
            "cold": row["cold"], "obtained": row["obtained"],
            "samples_gb_per_s": [round(sample, 4) for sample in samples]})
    return rows


def interval_of(values):
    """Median and its 95% bootstrap interval; seeded, so that it can be had again."""
    draw = random.Random(1)
    medians = sorted(statistics.median(draw.choices(values, k=len(values))) for _ in range(2000))
    return {"median": statistics.median(values), "low": medians[50], "high": medians[1949]}


def summary_of(rows):
    """One line a filesystem and direction, over all settings."""
    lines = []
    for name, rw in dict.fromkeys((row["filesystem"], row["rw"]) for row in rows):
        mine = [row for row in rows if (row["filesystem"], row["rw"]) == (name, rw)]
        ratios = [ratio for row in mine for ratio in row["paired_ratios"]]
        ratio = interval_of(ratios) if ratios and name != "directory" else None
        lines.append({"filesystem": name, "rw": rw, "ratio": ratio, "verdict": verdict_of(ratio),
                      "cpu_s_per_gb": statistics.median(row["cpu_s_per_gb"] for row in mine),
                      "request_p99_s": max(row["request_p99_s"] for row in mine),
                      "wrong_bytes": sum(row["wrong_bytes"] or 0 for row in mine)})
    return lines


def verdict_of(ratio):
    if ratio is None:
        return "what the others are measured by"
    if ratio["high"] < 1:
        return "slower"
    return "faster" if ratio["low"] > 1 else "not to be told apart"


def text_of(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except FileNotFoundError:
        return None


def write_json(work, path, result, rows):
    described = {
        name_of(target["target"]): {
            "members": target["members"], "working_set_bytes": target["working_set_bytes"],
            "loop_direct_io": text_of(os.path.join(work, name_of(target["target"]) + ".direct"))}
        for target in result["targets"]}
    kept = {key: result[key] for key in (
        "refill", "started", "finished", "host", "model", "rounds", "warnings")}
    skipped = text_of(os.path.join(work, "skipped")) or ""
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"schema": "refill/filesystems/1", **kept, "skipped": skipped.splitlines(),
                   "filesystems": described, "summary": summary_of(rows), "rows": rows},
                  file, indent=1)


def write_md(path, result, rows):
    host = result["host"]
    with open(path, "w", encoding="utf-8") as file:
        print(f"Made by `scripts/compare-filesystems.sh`, {result['finished']}, "
              f"{host.get('cpu_model')}, Linux {host.get('kernel')}, {result['rounds']} rounds.\n",
              file=file)
        print("| filesystem | | rate, of the directory's | | CPU s/GB | slowest p99 ms | #wrong |\n"
              "|---|---|---|---|---|---|---|", file=file)
        for line in summary_of(rows):
            ratio = line["ratio"]
            share = ("1" if ratio is None else
                     f'{ratio["median"]:.2f} ({ratio["low"]:.2f} to {ratio["high"]:.2f})')
            print(f'| {line["filesystem"]} | {line["rw"]} | {share} | {line["verdict"]} '
                  f'| {line["cpu_s_per_gb"]:.3f} | {1e3 * line["request_p99_s"]:.1f} '
                  f'| {line["wrong_bytes"]} |', file=file)


def write_csv(path, rows):
    def shown(value):
        return f"{value:.4g}" if isinstance(value, float) else value
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows({key: shown(row[key]) for key in COLUMNS} for row in rows)


def write_dat(path, rows):
    """For each direction a block a filesystem: its name, then settings with rate and range."""
    blocks = dict.fromkeys((row["rw"], row["filesystem"]) for row in rows)
    with open(path, "w", encoding="utf-8") as file:
        for number, block in enumerate(sorted(blocks, key=lambda key: key[0] != "read")):
            print(("\n\n" if number else "") + f'"{block[1]}"', file=file)
            for i, row in enumerate(r for r in rows if (r["rw"], r["filesystem"]) == block):
                label = f'{row["page_bytes"] // 1024} KiB x {row["queue_depth"]}'
                print(i, f'"{label}"', row["gb_per_s"], row["low"], row["high"], file=file)


def print_table(rows):
    print(f'{"filesystem":<16} {"rw":<6} {"page":>6} {"depth":>5} {"rate":>7} {"low":>7} '
          f'{"high":>7} {"ratio":>6} {"CPU":>6} {"#wrong":>6}  cold\n'
          f'{"":<16} {"":<6} {"KiB":>6} {"":>5} {"GB/s":>7} {"":>7} {"":>7} {"":>6} {"s/GB":>6}')
    for row in sorted(rows, key=lambda r: (setting_of(r), -r["gb_per_s"])):
        ratio = "" if row["ratio"] is None else f'{row["ratio"]:.2f}'
        print(f'{row["filesystem"]:<16} {row["rw"]:<6} {row["page_bytes"] // 1024:>6} '
              f'{row["queue_depth"]:>5} {row["gb_per_s"]:>7.3f} {row["low"]:>7.3f} '
              f'{row["high"]:>7.3f} {ratio:>6} {row["cpu_s_per_gb"]:>6.3f} '
              f'{row["wrong_bytes"]:>6}  {row["cold"] or "-"}')


def main():
    work, out = sys.argv[1:]
    with open(os.path.join(work, "storage.json"), encoding="utf-8") as file:
        result = json.load(file)
    rows = side_by_side(result)
    if not rows:
        sys.exit("compare-filesystems: nothing could be measured")
    write_json(work, os.path.join(out, "filesystems.json"), result, rows)
    write_csv(os.path.join(out, "filesystems.csv"), rows)
    write_dat(os.path.join(out, "filesystems.dat"), rows)
    write_md(os.path.join(out, "filesystems.md"), result, rows)
    print_table(rows)
    print()
    with open(os.path.join(out, "filesystems.md"), encoding="utf-8") as file:
        print(file.read(), end="")
    if any(row["wrong_bytes"] for row in rows):
        sys.exit("compare-filesystems: bytes came back wrong")


main()
