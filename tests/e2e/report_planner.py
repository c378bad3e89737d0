"""The planner of the report's page: sliders, the address, and its arithmetic."""

import json
import os
import random
import subprocess

import report_hostile
from report_browser import REFILL, ROOT, check, no_complaint, visit, wait

# What each slider must move; every chart by its title.
TTFT, HOURLY, CONCURRENCY, SPEEDUP, TPOT, MTOK = range(6)
MOVES = {
    "context_tokens": {TTFT, HOURLY, CONCURRENCY, TPOT, MTOK},
    "concurrency": {HOURLY, CONCURRENCY},
    "alpha": {TTFT, SPEEDUP, TPOT, MTOK},
    "n_out_tokens": {TPOT, MTOK},
    "sla_ttft_s": {TTFT},
    "sla_tpot_s": {TPOT},
    "hbm_bytes": {TTFT, HOURLY, TPOT, MTOK},
    "hbm_bytes_per_s": {TPOT, MTOK},
    "gpu_usd_per_hour": {HOURLY, CONCURRENCY, MTOK},
    "flops_per_s": {TTFT, SPEEDUP, TPOT, MTOK},
    "tp_base": {TTFT, HOURLY, CONCURRENCY, TPOT, MTOK},
    "nvme_bytes": {CONCURRENCY},
    "nvme_bytes_per_s": {TTFT, SPEEDUP},
    "write_bytes_per_s": {TTFT, SPEEDUP},
    "external_bytes_per_s": {TTFT},
    "external_usd_per_gb_month": {CONCURRENCY},
    "params": {TTFT, SPEEDUP, TPOT, MTOK},
    "weights_bytes": {TPOT, MTOK},
    "kv_bytes_per_token": {TTFT, SPEEDUP, CONCURRENCY},
}
PICTURES = """return [0,1,2,3,4,5].map((i) => {
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


def pictures(browser):
    return browser.execute_async_script(
        "const done = arguments[0];"
        "const moving = () => document.documentElement.dataset.planner === 'moving';"
        "const look = () => moving() ? setTimeout(look, 10) : done((() => {"
        + PICTURES
        + "})()); look();"
    )


def check_sliders(browser):
    browser.execute_script(
        "const s = document.getElementById('planner-start'); s.value = s.options.length - 1;"
        "s.dispatchEvent(new Event('change'));"
    )
    names = browser.execute_script(
        "return [...document.querySelectorAll('.control input[type=range]')]"
        ".map((i) => i.id.slice(6))"
    )
    check(set(names) == set(MOVES), f"sliders {set(names) ^ set(MOVES)}")
    base = pictures(browser)
    for name, expected in MOVES.items():
        moved = set()
        for position in (0, 1000):
            browser.execute_script(MOVE, name, position)
            moved |= {i for i, picture in enumerate(pictures(browser)) if picture != base[i]}
            if expected <= moved:
                break
        check(
            expected <= moved, f"slider {name} did not move charts {sorted(expected - moved)}"
        )
        browser.execute_script("document.getElementById('planner-reset').click()")
    check(pictures(browser) == base, "reset does not bring the charts back")
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
      return times.sort((a, b) => a - b);""")
    print(f"a slider's frame: median {frame_ms[10]:.1f} ms, best {frame_ms[0]:.1f} ms")
    check(
        frame_ms[0] < 33, f"a slider's frame takes {frame_ms[0]} ms at best"
    )  # 16 ms on a quiet box
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
            "return document.getElementById('planner-answers').children.length"
        )
        == 6,
        "a foreign address breaks the planner",
    )
    no_complaint(browser, "address")


# What the page and `plan` compute from the same inputs; batches are planned on other defaults.
SAME_INPUTS = set(
    "kv_bytes_per_request kv_bytes_total gpus_offload gpus_cp servers_offload servers_cp ttft_cp_s "
    "overflow_requests external_bytes ttft_min_gpu_s ttft_offload_s cost_ratio "
    "cost_cp_usd_per_hour "
    "cost_offload_gpu_usd_per_hour cost_offload_external_usd_per_hour cost_offload_usd_per_hour "
    "match_cp_bytes_per_s match_min_gpu_bytes_per_s compute_s_per_token read_s_per_token e".split()
)


def check_arithmetic(browser):
    """The page's arithmetic against the vectors, and `refill plan --json` on random inputs."""
    with open(os.path.join(ROOT, "tests/model/vectors.json"), encoding="utf-8") as file:
        vectors = json.load(file)
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
    if subprocess.run([REFILL, "plan", "--help"], capture_output=True).returncode != 0:
        print("no `refill plan` to compare with")
        return
    draw = random.Random(5)
    for _ in range(20):
        inputs = {
            "context_tokens": draw.randint(1000, 500000),
            "concurrency": draw.randint(1, 2000),
            "gpu_usd_per_hour": draw.randint(100, 900) / 100,
            "flops_per_s": draw.randint(1, 900) * 1e12,
            "nvme_bytes_per_s": draw.randint(1, 100) * 1e9,
            "nvme_bytes": draw.randint(1, 60) * 1e12,
        }
        line = [
            REFILL,
            "plan",
            "--json",
            "--context",
            str(inputs["context_tokens"]),
            "--concurrency",
            str(inputs["concurrency"]),
            "--gpu-cost",
            str(inputs["gpu_usd_per_hour"]),
            "--tflops",
            str(int(inputs["flops_per_s"] / 1e12)),
            "--nvme-bw",
            f"{int(inputs['nvme_bytes_per_s'] / 1e9)}GB/s",
            "--nvme-capacity",
            f"{int(inputs['nvme_bytes'] / 1e12)}000000000000",
        ]
        run = subprocess.run(line, capture_output=True, text=True)
        check(run.returncode == 0, "plan: " + run.stderr)
        if run.returncode != 0:
            return
        told, out = report_hostile.flattened(json.loads(run.stdout)), browser.execute_script(
            plan, inputs
        )
        same = [name for name in out if name in told and name in SAME_INPUTS]
        check(len(same) >= 10, f"only {same} in common with plan --json")
        for name in same:
            check(
                abs(out[name] - told[name]) <= 1e-12 * abs(told[name]),
                f"{name}: page {out[name]!r}, plan {told[name]!r} at {line[3:]}",
            )
