#!/usr/bin/env python3
"""The table of fio-targets.sh: `fio-targets.py DIRECTORY` reads fio-{memory,lanes,disk}.json there,
prints Markdown, and exits 1 where a target is missed.

A median of a few seconds' pairs is itself uncertain, so that a target counts as reached where the
95% interval of the median reaches it, as for the disk, whose moods change from second to second;
in memory, where there are none, the median has to.
"""
import json
import statistics
import sys

RATE_MIN, CPU_MAX, CHECKED_MIN = 0.98, 1.1, 0.95
WHERE = {
    "memory": "ext4 in memory",
    "lanes": "eight of these, one thread against eight jobs",
    "disk": "disk",
}


def bytes_text(value):
    return f"{value / 1048576:g} MiB" if value >= 1048576 else f"{value / 1024:g} KiB"


def checks_cost(row):
    """The rate with checks over that without, of adjacent passes."""
    if not row["unchecked_bytes_per_s"]:
        return None
    checked = row["read_bytes_per_s"]["samples"]
    bare = row["unchecked_bytes_per_s"]["samples"]
    return statistics.median(a / b for a, b in zip(checked, bare))


def judge(name, row):
    """The row's cells, and what it misses."""
    ratio, cpu, missed = row["fio_ratio"], row["fio_cpu_ratio"]["median"], []
    if (ratio["median"] if name == "memory" else ratio["ci_high"]) < RATE_MIN:
        missed.append("rate")
    if name != "disk" and cpu > CPU_MAX:
        missed.append("CPU")
    cost = checks_cost(row)
    if cost is not None and cost < CHECKED_MIN:
        missed.append("checks")
    rate = (row["read_bytes_per_s"] or row["write_bytes_per_s"])["median"] / 1e9
    return [
        WHERE[name], row["rw"], bytes_text(row["page_bytes"]), str(row["queue_depth"]),
        f"{rate:.2f}", f"{ratio['median']:.3f} ({ratio['ci_low']:.3f} to {ratio['ci_high']:.3f})",
        f"{cpu:.2f}", "" if cost is None else f"{cost:.3f}", f"{100 * row['checked_share']:.0f}",
        "reached" if not missed else "MISSED: " + ", ".join(missed)
    ], missed


def main(directory):
    results = {name: json.load(open(f"{directory}/fio-{name}.json")) for name in WHERE}
    first = results["memory"]
    host = first["host"]
    print(f"# The storage lab against fio\n\n{host.get('cpu_model') or 'a box'}, "
          f"refill {first['refill']['version']}, {first['started']}. Medians of "
          f"{first['rounds']} alternating pairs with their 95% interval; targets: {RATE_MIN} of "
          f"fio's rate, {CPU_MAX} times its CPU per GB, {CHECKED_MIN} of the rate "
          "without checks.\n")
    head = ["where", "", "page", "depth", "GB/s", "rate over fio's", "CPU/GB over fio's",
            "over unchecked", "% checked", "target"]
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    any_missed = False
    for name, result in results.items():
        for row in result["rows"]:
            cells, missed = judge(name, row)
            any_missed = any_missed or bool(missed)
            print("| " + " | ".join(cells) + " |")
    small = [n for n, r in results.items()
             if any(w["name"] == "fio-small-pages" for w in r["warnings"])]
    if small:
        print(f"\nfio's buffers lay on small pages in: {', '.join(small)}; this was not its best.")
    return 1 if any_missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
