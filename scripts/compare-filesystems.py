#!/usr/bin/env python3
"""Puts the rounds of compare-filesystems.sh together: compare-filesystems.py ROUNDS OUT.

Writes OUT/filesystems.json (all samples), .csv (a row a setting) and .dat (for gnuplot), and prints
a table. A figure is the median over the rounds; beside it stands the median of the paired ratios to
the directory that the images lie on: both of a pair are of one round, minutes apart at most.
"""
import csv
import glob
import json
import os
import re
import statistics
import sys

ORDER = ("directory", "ext4", "xfs", "btrfs", "btrfs-nodatasum")
SETTING = ("page_tokens", "request_bytes", "queue_depth")
COLUMNS = [
    "filesystem", *SETTING, "rounds", "read_gb_per_s", "read_low", "read_high", "read_ratio",
    "write_gb_per_s", "write_low", "write_high", "write_ratio", "cpu_s_per_gb",
    "read_us_per_token", "write_us_per_token", "wrong_bytes", "cold"]


def load(rounds):
    """{filesystem: {round: result}}"""
    found = {}
    for path in sorted(glob.glob(os.path.join(rounds, "*.*.json"))):
        name, number = re.match(r"(.*)\.(\d+)\.json$", os.path.basename(path)).groups()
        with open(path, encoding="utf-8") as file:
            found.setdefault(name, {})[int(number)] = json.load(file)
    return {name: found[name] for name in ORDER if name in found}


def setting_of(row):
    return tuple(row[key] for key in SETTING)


def samples(results, setting, field):
    """{round: GB/s} of one setting."""
    return {
        number: row[field]["median"] / 1e9
        for number, result in results.items()
        for row in result["storage"]
        if setting_of(row) == setting and row.get(field)}


def ratio(mine, base):
    pairs = [mine[n] / base[n] for n in mine if n in base]
    return statistics.median(pairs) if pairs else None


def summarise(found):
    rows = []
    for name, results in found.items():
        first = next(iter(results.values()))
        for setting in sorted({setting_of(row) for row in first["storage"]}):
            of_setting = [row for result in results.values() for row in result["storage"]
                          if setting_of(row) == setting]
            row = dict(zip(SETTING, setting), filesystem=name, rounds=len(of_setting))
            for kind in ("read", "write"):
                mine = samples(results, setting, f"{kind}_bytes_per_s")
                base = samples(found.get("directory", {}), setting, f"{kind}_bytes_per_s")
                row[f"{kind}_gb_per_s"] = statistics.median(mine.values())
                row[f"{kind}_low"], row[f"{kind}_high"] = min(mine.values()), max(mine.values())
                row[f"{kind}_ratio"] = ratio(mine, base)
                row[f"{kind}_samples"] = [round(mine[n], 4) for n in sorted(mine)]
                row[f"{kind}_us_per_token"] = 1e6 * statistics.median(
                    r[f"storage_{kind}_s_per_token"] for r in of_setting)
            row["cpu_s_per_gb"] = statistics.median(r["cpu_s_per_gb"] for r in of_setting)
            row["wrong_bytes"] = sum(r["wrong_bytes"] or 0 for r in of_setting)
            row["cold"] = of_setting[-1]["cold"]
            rows.append(row)
    return rows


def shown(value):
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else value


def text_of(rounds, name):
    try:
        with open(os.path.join(rounds, name), encoding="utf-8") as file:
            return file.read().strip()
    except FileNotFoundError:
        return None


def write_json(path, rounds, found, rows):
    described = {}
    for name, results in found.items():
        last = results[max(results)]
        described[name] = {
            "target": last.get("target"), "engine": last.get("engine"),
            "loop_direct_io": text_of(rounds, f"{name}.direct")}
    any_result = next(iter(next(iter(found.values())).values()))
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"schema": "refill/filesystems/1", "refill": any_result["refill"],
                   "started": any_result["started"], "host": any_result["host"],
                   "config": any_result["config"], "skipped":
                   (text_of(rounds, "skipped") or "").splitlines(),
                   "rows": rows, "filesystems": described}, file, indent=1)


def write_dat(path, rows):
    """One block a filesystem: a label, then read and write with their ranges."""
    with open(path, "w", encoding="utf-8") as file:
        for block, name in enumerate(dict.fromkeys(row["filesystem"] for row in rows)):
            print(("\n\n" if block else "") + f'"{name}"', file=file)
            for i, row in enumerate(r for r in rows if r["filesystem"] == name):
                label = f'{row["request_bytes"] // 1024} KiB x {row["queue_depth"]}'
                print(i, f'"{label}"', *(row[f"{kind}_{what}"] for kind in ("read", "write")
                                         for what in ("gb_per_s", "low", "high")), file=file)


def main():
    rounds, out = sys.argv[1:]
    found = load(rounds)
    if not found:
        sys.exit("compare-filesystems: nothing could be measured")
    rows = summarise(found)
    write_json(os.path.join(out, "filesystems.json"), rounds, found, rows)
    write_dat(os.path.join(out, "filesystems.dat"), rows)
    with open(os.path.join(out, "filesystems.csv"), "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows({key: shown(row[key]) for key in COLUMNS} for row in rows)
    print(f'{"filesystem":<16} {"request":>8} {"depth":>5} {"read":>7} {"ratio":>6} {"write":>7} '
          f'{"ratio":>6} {"CPU":>6}  #wrong  cold\n'
          f'{"":<16} {"KiB":>8} {"":>5} {"GB/s":>7} {"":>6} {"GB/s":>7} {"":>6} {"s/GB":>6}')
    for row in rows:
        print(f'{row["filesystem"]:<16} {row["request_bytes"] // 1024:>8} {row["queue_depth"]:>5} '
              f'{row["read_gb_per_s"]:>7.3f} {shown(row["read_ratio"]):>6.4} '
              f'{row["write_gb_per_s"]:>7.3f} {shown(row["write_ratio"]):>6.4} '
              f'{row["cpu_s_per_gb"]:>6.3f}  {row["wrong_bytes"]:>6}  {row["cold"]}')
    if any(row["wrong_bytes"] for row in rows):
        sys.exit("compare-filesystems: bytes came back wrong")


main()
