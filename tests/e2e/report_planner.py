"""The planner of the report's page: sliders, the address, and its arithmetic."""

import json
import os
import random
import subprocess
import time

import report_hostile
from report_browser import REFILL, ROOT, check, no_complaint, visit, wait

# What each slider must move; every chart by its place.
CHARTS = 12
TTFT, SPEEDUP, DRIVES, HOURLY, CONCURRENCY, USERS = range(6)
TPOT, MTOK, TIERS, HITS, TURNS, ALPHAS = range(6, CHARTS)
MOVES = {
    "context_tokens": {TTFT, DRIVES, HOURLY, CONCURRENCY, USERS, TPOT, MTOK, TIERS, HITS},
    "concurrency": {HOURLY, CONCURRENCY},
    "alpha": {TTFT, SPEEDUP, DRIVES, TPOT, MTOK, TIERS, HITS},
    "n_out_tokens": {TPOT, MTOK, TURNS, ALPHAS},
    "sla_ttft_s": {TTFT, DRIVES, TIERS},
    "sla_tpot_s": {USERS, TPOT},
    "hbm_bytes": {TTFT, HOURLY, USERS, TPOT, MTOK, HITS},
    "hbm_bytes_per_s": {USERS, TPOT, MTOK},
    "gpu_usd_per_hour": {HOURLY, CONCURRENCY, MTOK},
    "flops_per_s": {TTFT, SPEEDUP, DRIVES, TPOT, MTOK, TIERS, TURNS},
    "tp_base": {TTFT, HOURLY, CONCURRENCY, USERS, TPOT, MTOK},
    "drives": {TTFT, SPEEDUP, DRIVES, CONCURRENCY, TIERS, HITS, TURNS},
    "drive_bytes": {CONCURRENCY, HITS},
    "drive_read_bytes_per_s": {TTFT, SPEEDUP, DRIVES, TIERS, TURNS},
    "drive_write_bytes_per_s": {TTFT, SPEEDUP, DRIVES},
    "external_bytes_per_s": {TTFT, TIERS},
    "external_usd_per_gb_month": {CONCURRENCY},
    "params": {TTFT, SPEEDUP, TPOT, MTOK},
    "weights_bytes": {USERS, TPOT, MTOK},
    "kv_bytes_per_token": {TTFT, SPEEDUP, CONCURRENCY},
    "turns": {TURNS, ALPHAS},
    "prompt_tokens": {TURNS, ALPHAS},
    "prefixes": {TIERS, HITS},
    "replicas": {HITS},
    "locality": {TIERS, HITS},
    "dram_bytes": {HITS},
    "dram_bytes_per_s": {TIERS},
}
PICTURES = """return which.map((i) => {
  const canvas = document.getElementById('planner-' + i);
  const bytes = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  const data = new Uint32Array(bytes.buffer);
  let hash = 0;
  for (let j = 0; j < data.length; j++) hash = Math.imul(hash, 31) + data[j] | 0;
  return hash;
});"""
MOVE = """
const slider = document.getElementById('input-' + arguments[0]);
slider.value = arguments[1];
slider.dispatchEvent(new Event('input', {bubbles: true}));"""


def pictures(browser, which=range(CHARTS)):
    return browser.execute_async_script(
        "const which = arguments[0], done = arguments[1];"
        "const moving = () => document.documentElement.dataset.planner === 'moving';"
        "const look = () => moving() ? setTimeout(look, 10) : done((() => {"
        + PICTURES
        + "})()); look();",
        list(which),
    )


def differing(some, others):
    return [i for i, (one, other) in enumerate(zip(some, others)) if one != other]


def pictures_at_rest(browser, wanted=None):
    """The pictures once they stay as they are, and are as wanted: on a busy box the browser lays
    the page out, and draws charts anew for it, some time after the planner has settled."""
    last = pictures(browser)
    for _ in range(100):
        time.sleep(0.2)
        now = pictures(browser)
        if now == last and wanted in (None, now):
            break
        last = now
    return last


def check_sliders(browser):
    pictures(browser, [])  # all drawn, once
    browser.execute_script(
        "const s = document.getElementById('planner-start'); s.value = s.options.length - 1;"
        "s.dispatchEvent(new Event('change'));"
    )
    names = browser.execute_script(
        "return [...document.querySelectorAll('.control input[type=range]')]"
        ".map((i) => i.id.slice(6))"
    )
    check(set(names) == set(MOVES), f"sliders {set(names) ^ set(MOVES)}")
    base = pictures_at_rest(browser)
    for name, expected in MOVES.items():
        moved = set()
        for position in (0, 1000):
            browser.execute_script(MOVE, name, position)
            left = sorted(expected - moved)
            moved |= {i for i, now in zip(left, pictures(browser, left)) if now != base[i]}
            if expected <= moved:
                break
        check(
            expected <= moved, f"slider {name} did not move charts {sorted(expected - moved)}"
        )
        browser.execute_script("document.getElementById('planner-reset').click()")
    changed = differing(base, pictures_at_rest(browser, base))
    check(not changed, f"reset does not bring the charts {changed} back")
    browser.execute_script("document.getElementById('planner').scrollIntoView()")
    frame_ms = browser.execute_script("""
      const times = [], request = window.requestAnimationFrame;
      const slider = document.getElementById('input-alpha');
      let redraw = null;
      window.requestAnimationFrame = (callback) => { redraw = callback; };
      for (let i = 0; i < 21; i++) {
        const since = performance.now();
        slider.value = 20 * i;
        slider.dispatchEvent(new Event('input'));
        redraw();
        times.push(performance.now() - since);
      }
      window.requestAnimationFrame = request;
      request(redraw);
      return times.sort((a, b) => a - b);""")
    print(f"a slider's frame: median {frame_ms[10]:.1f} ms, best {frame_ms[0]:.1f} ms")
    check(frame_ms[0] < 16, f"a slider's frame takes {frame_ms[0]} ms at best")
    no_complaint(browser, "sliders")


def check_address(browser):
    browser.execute_script(MOVE, "alpha", 400)
    check(
        wait(browser, "location.hash.includes('alpha=0.4')"),
        "the setting is not in the address",
    )
    fragment = browser.execute_script("return location.hash")
    visit(browser, "page.html", fragment)
    check(
        browser.execute_script("return document.getElementById('input-alpha-exact').value")
        == "0.4",
        "the address does not restore alpha",
    )
    visit(
        browser,
        "page.html",
        "#plan:alpha=%3Cscript%3E&context_tokens=1e400&__proto__=1&start=99&concurrency=-5",
    )
    check(
        browser.execute_script(
            "return document.querySelectorAll('#planner .answers p').length"
        )
        == 8,
        "a foreign address breaks the planner",
    )
    no_complaint(browser, "address")


# Inputs of the page, the options of `plan` that set the same, and values to draw from.
SETTINGS = {
    "context_tokens": ("context", lambda d: d.randint(1000, 500000), 1),
    "concurrency": ("concurrency", lambda d: d.randint(1, 2000), 1),
    "gpu_usd_per_hour": ("gpu-cost", lambda d: d.randint(100, 900) / 100, 1),
    "flops_per_s": ("tflops", lambda d: d.randint(1, 900) * 1e12, 1e12),
    "tp_base": ("tp-base", lambda d: d.randint(1, 16), 1),
    "hbm_bytes": ("hbm", lambda d: d.randint(24, 288) * 10**9, 1),
    "external_bytes_per_s": ("ext-bw", lambda d: d.randint(1, 50) * 10**9, 1),
    "external_usd_per_gb_month": ("ext-cost", lambda d: d.randint(1, 100) / 100, 1),
    "drive_read_bytes_per_s": ("nvme-bw", lambda d: d.randint(1, 100) * 10**9, 1),
    "drive_bytes": ("nvme-capacity", lambda d: d.randint(1, 60) * 10**12, 1),
    "drive_write_bytes_per_s": ("write-bw", lambda d: d.randint(1, 100) * 10**9, 1),
    "alpha": ("prefix-share", lambda d: d.randint(1, 999) / 1000, 1),
    "n_out_tokens": ("output", lambda d: d.randint(16, 4096), 1),
    "sla_ttft_s": ("sla-ttft", lambda d: d.randint(100, 9000) / 1000, 1),
    "sla_tpot_s": ("sla-tpot", lambda d: d.randint(5, 200) / 1000, 1),
    "hbm_bytes_per_s": ("hbm-bw", lambda d: d.randint(1000, 8000) * 10**9, 1),
    "turns": ("turns", lambda d: d.randint(1, 30), 1),
    "prompt_tokens": ("prompt", lambda d: d.randint(10, 9000), 1),
    "replicas": ("replicas", lambda d: d.randint(1, 32), 1),
    "prefixes": ("prefixes", lambda d: d.randint(1, 20000), 1),
    "locality": ("locality", lambda d: d.randint(0, 100) / 100, 1),
    "dram_bytes": ("dram", lambda d: d.randint(1, 4000) * 10**9, 1),
    "dram_bytes_per_s": ("dram-bw", lambda d: d.randint(10, 400) * 10**9, 1),
}
TYPED = set(
    "context concurrency gpu-cost tflops tp-base hbm ext-bw ext-cost nvme-bw nvme-capacity turns "
    "prompt output".split()
)
UNITS = {"hbm_bytes_per_s": "GB/s", "sla_ttft_s": "ms", "sla_tpot_s": "ms"}

# Answers that `plan` does not give, or by a search of its own (alpha*).
PAGE_ALONE = set(
    "regime ttft_local_s ttft_one_drive_more_s ttft_external_s drives_enough "
    "alpha_star".split()
)


def option_of(name, value):
    option, _, scale = SETTINGS[name]
    if "bytes_per_s" in name:
        text = f"{value // 10**9}GB/s"
    elif name in UNITS:
        text = f"{round(value * 1000)}ms"
    else:
        text = f"{value / scale:.15g}" if isinstance(value, float) else str(value)
    return ["--" + option, text] if option in TYPED else ["--set", f"{option}={text}"]


def check_vectors(browser, vectors):
    plan = "const p = new Planner(); p.setAll(arguments[0]); return p.evaluate();"
    for case in vectors["cost"]:
        out = browser.execute_script(
            plan,
            {
                "context_tokens": case["context"],
                "concurrency": case["concurrency"],
                "params": case["params"],
                "weights_bytes": case["weights_bytes"],
                "kv_bytes_per_token": case["kv_bytes_per_token"],
            },
        )
        for ours, theirs in (
            ("kv_bytes_total", "kv_total"),
            ("gpus_cp", "gpus_cp"),
            ("ttft_cp_s", "ttft_cp"),
            ("ttft_min_gpu_s", "ttft_min"),
            ("ttft_offload_s", "ttft_offload"),
            ("cost_cp_usd_per_hour", "cost_cp"),
        ):
            check(
                theirs not in case or abs(out[ours] / case[theirs] - 1) < 1e-9,
                f"{ours} is {out[ours]}, the vectors have {case.get(theirs)}",
            )
    for case in vectors["ttft"]:
        got = browser.execute_script(
            "const c = arguments[0];"
            "return wasm.ttft_ideal_s(c.alpha, c.n_tokens, c.T, c.R, c.W, 0)",
            case,
        )
        check(
            abs(got - case["ttft_s"]) <= 1e-12 * case["ttft_s"],
            f"ttft_ideal_s {got}, not {case['ttft_s']}",
        )


def same(page, plan):
    if page is None or plan is None:  # no limit, or no meaning: JSON has neither
        return page is None and plan is None
    return abs(page - plan) <= 1e-12 * abs(plan)


# All answers, the turns, and the curves at one batch; what is not finite is null.
ASK = """
const p = new Planner();
p.setAll({...arguments[0], drives: 1});
const told = {...p.evaluate(), expected_tpot_s: p.tpot(32, 1),
  expected_tpot_reload_s: p.tpot(32, 2), step_s: p.tpot(32, 0),
  usd_per_mtok: p.usdPerMtok(32, 0)};
for (let i = 1; i <= p.get("turns"); i++) {
  const turn = p.turn(i);
  told[`turn ${i} recompute_s`] = turn.recompute_s;
  told[`turn ${i} reload_s`] = turn.reload_s;
}
return Object.fromEntries(Object.entries(told).map(([k, v]) => [k, Number.isFinite(v) ? v : null]));
"""


def check_arithmetic(browser):
    """The page's arithmetic against the vectors, and `refill plan --json` on random inputs."""
    with open(os.path.join(ROOT, "tests/model/vectors.json"), encoding="utf-8") as file:
        check_vectors(browser, json.load(file))
    draw = random.Random(5)
    compared = set()
    for _ in range(20):
        inputs = {name: make(draw) for name, (_, make, _) in SETTINGS.items()}
        line = [REFILL, "plan", "--json"]
        for name, value in inputs.items():
            line += option_of(name, value)
        run = subprocess.run(line, capture_output=True, text=True)
        check(run.returncode == 0, "plan: " + run.stderr)
        if run.returncode != 0:
            return
        plan = json.loads(run.stdout)
        for turn in plan["turn_points"]:
            for name in ("recompute_s", "reload_s"):
                plan[f"turn {turn['turn']} {name}"] = turn[name]
        for name, value in browser.execute_script(ASK, inputs).items():
            if name in PAGE_ALONE or name == "external":
                continue
            compared.add(name)
            check(
                name in plan and same(value, plan[name]),
                f"{name}: page {value!r}, plan {plan.get(name)!r} at {' '.join(line[3:])}",
            )
    check(len(compared) > 80, f"only {len(compared)} answers compared")
    print(f"{len(compared)} answers of the page are those of plan")
