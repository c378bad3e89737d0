"""The report's page in headless Chromium: report_page.py REFILL ROOT DIRECTORY

DIRECTORY holds results made by tests/e2e/report.sh. Each check prints one line where it fails; the
exit status is 1 if any did. Pixels are looked at, not only elements: a chart counts as drawn when
each of its lines left its colour on the canvas.
"""
import json
import os
import random
import subprocess
import sys
import time

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

REFILL, ROOT, WORK = sys.argv[1:4]
sys.path.insert(0, os.path.join(ROOT, "tests/e2e"))
import report_hostile  # noqa: E402

failures = []


def check(true, what):
    if not true:
        failures.append(what)
        print("FAILED:", what)


def start():
    options = Options()
    options.binary_location = os.environ["CHROMIUM"]
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "hide-scrollbars",
                 "host-resolver-rules=MAP * ~NOTFOUND"):
        options.add_argument("--" + flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(service=Service(os.environ["CHROMEDRIVER"]), options=options)


def screen(browser, width, height=900, scheme="light", media=""):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia",
                            {"media": media, "features": [{"name": "prefers-color-scheme", "value": scheme}]})


def wait(browser, script, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if browser.execute_script("return " + script):
            return True
        time.sleep(0.02)
    return False


def visit(browser, name, fragment=""):
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get("file://" + os.path.join(WORK, name) + fragment)
    check(wait(browser, "document.documentElement.dataset.ready"), name + ": never ready")
    time.sleep(0.2)


def no_complaint(browser, name):
    for line in browser.get_log("browser"):
        check("willReadFrequently" in line["message"], f"{name}: console: {line['message'][:300]}")


def words_of(browser):
    return browser.execute_script("return document.getElementById('main').innerText")


def report(name, *files):
    run = subprocess.run([REFILL, "report", *files, "-o", name], cwd=WORK, capture_output=True, text=True)
    check(run.returncode == 0, f"report {' '.join(files)}: {run.stderr}")
    return os.path.getsize(os.path.join(WORK, name)) if run.returncode == 0 else 0


# A chart is drawn when each data set's colour is found on it; a timeline when it has its bars.
UNDRAWN = """
const close = (a, b) => Math.abs(a - b) < 40;
return drawn.filter((d) => d.canvas.offsetParent).flatMap(({canvas, chart}) => {
  if (!canvas.width || !canvas.height) return [canvas.id + " has no size"];
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return chart.data.datasets.filter((set) => set.data.some((p) => typeof p === "object" ? true : p > 0)).map((set) => {
    const hex = set.borderColor, want = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
    let found = 0;
    for (let i = 0; i < data.length; i += 4)
      if (data[i + 3] > 200 && close(data[i], want[0]) && close(data[i + 1], want[1]) && close(data[i + 2], want[2])) found++;
    return found > 12 ? "" : `${canvas.id}: "${set.label}" left ${found} pixels`;
  }).filter(Boolean);
});"""

OPEN_ALL = "document.querySelectorAll('details').forEach((d) => { d.open = true; });"


def check_page(browser):
    size = report("page.html", "sweep.json", "sweep-trace.json", "faster.json", "calibrate.json", "verify.json", "doctor.json")
    check(size < 2_000_000, f"page of {size} bytes")
    screen(browser, 1280)
    visit(browser, "page.html")
    took_ms = browser.execute_script("const t = performance.getEntriesByType('navigation')[0]; return t.domComplete")
    print(f"page {size} bytes, complete after {took_ms:.0f} ms")
    check(took_ms < 3000, f"complete after {took_ms} ms")
    check(browser.execute_script("return performance.getEntriesByType('resource').length") == 0, "the page asked for something else")
    browser.execute_script(OPEN_ALL)
    time.sleep(0.8)
    charts = browser.execute_script("return drawn.filter((d) => d.canvas.offsetParent).length")
    check(charts >= 6 + 5 + 4 + 3, f"only {charts} charts")
    for problem in browser.execute_script(UNDRAWN):
        check(False, problem)
    bars = browser.execute_script("return [...document.querySelectorAll('.timeline rect')].filter((r) => r.getBoundingClientRect().width > 0).length")
    check(bars > 100, f"timeline of {bars} bars")
    words = words_of(browser)
    for wanted in ("Reload wins", "played back, not measured", "drive emulated", "Results compared", "better", "T, compute per token"):
        check(wanted in words, f"'{wanted}' is not on the page")
    no_complaint(browser, "page.html")


# What each slider must move; every chart by its title.
TTFT, HOURLY, CONCURRENCY, SPEEDUP, TPOT, MTOK = range(6)
MOVES = {
    "context_tokens": {TTFT, HOURLY, CONCURRENCY, TPOT, MTOK}, "concurrency": {HOURLY, CONCURRENCY}, "alpha": {TTFT, SPEEDUP, TPOT, MTOK},
    "n_out_tokens": {TPOT, MTOK}, "sla_ttft_s": {TTFT}, "sla_tpot_s": {TPOT}, "hbm_bytes": {TTFT, HOURLY, TPOT, MTOK}, "hbm_bytes_per_s": {TPOT, MTOK},
    "gpu_usd_per_hour": {HOURLY, CONCURRENCY, MTOK}, "flops_per_s": {TTFT, SPEEDUP, TPOT, MTOK}, "tp_base": {TTFT, HOURLY, CONCURRENCY, TPOT, MTOK},
    "nvme_bytes": {CONCURRENCY}, "nvme_bytes_per_s": {TTFT, SPEEDUP}, "write_bytes_per_s": {TTFT, SPEEDUP}, "external_bytes_per_s": {TTFT},
    "external_usd_per_gb_month": {CONCURRENCY}, "params": {TTFT, SPEEDUP, TPOT, MTOK}, "weights_bytes": {TPOT, MTOK}, "kv_bytes_per_token": {TTFT, SPEEDUP, CONCURRENCY},
}
PICTURES = """return [0,1,2,3,4,5].map((i) => {
  const canvas = document.getElementById('planner-' + i);
  const data = new Uint32Array(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer);
  let hash = 0;
  for (let j = 0; j < data.length; j++) hash = Math.imul(hash, 31) + data[j] | 0;
  return hash;
});"""
MOVE = """
const slider = document.getElementById('input-' + arguments[0]);
slider.value = arguments[1];
slider.dispatchEvent(new Event('input', {bubbles: true}));"""


def pictures(browser):
    return browser.execute_async_script("const done = arguments[0], look = () => document.documentElement.dataset.planner === 'moving' ? setTimeout(look, 10) : done((() => {"
                                        + PICTURES + "})()); look();")


def check_sliders(browser):
    browser.execute_script("const s = document.getElementById('planner-start'); s.value = s.options.length - 1; s.dispatchEvent(new Event('change'));")
    names = browser.execute_script("return [...document.querySelectorAll('.control input[type=range]')].map((i) => i.id.slice(6))")
    check(set(names) == set(MOVES), f"sliders {set(names) ^ set(MOVES)}")
    base = pictures(browser)
    for name, expected in MOVES.items():
        moved = set()
        for position in (0, 1000):
            browser.execute_script(MOVE, name, position)
            moved |= {i for i, picture in enumerate(pictures(browser)) if picture != base[i]}
            if expected <= moved:
                break
        check(expected <= moved, f"slider {name} did not move charts {sorted(expected - moved)}")
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
    check(frame_ms[0] < 33, f"a slider's frame takes {frame_ms[0]} ms at best")  # 16 ms on a quiet box
    no_complaint(browser, "sliders")


def check_address(browser):
    browser.execute_script(MOVE, "alpha", 400)
    check(wait(browser, "location.hash.includes('alpha=0.4')"), "the setting is not in the address")
    fragment = browser.execute_script("return location.hash")
    visit(browser, "page.html", fragment)
    check(browser.execute_script("return document.getElementById('input-alpha-exact').value") == "0.4", "the address does not restore alpha")
    visit(browser, "page.html", "#plan:alpha=%3Cscript%3E&context_tokens=1e400&__proto__=1&start=99&concurrency=-5")
    check(browser.execute_script("return document.getElementById('planner-answers').children.length") == 6, "a foreign address breaks the planner")
    no_complaint(browser, "address")


def check_arithmetic(browser):
    """The page's arithmetic against the vectors, and against `refill plan --json` on random inputs."""
    with open(os.path.join(ROOT, "tests/model/vectors.json"), encoding="utf-8") as file:
        vectors = json.load(file)
    plan = "const p = new Planner(); p.setAll(arguments[0]); return p.evaluate();"
    for case in vectors["cost"]:
        out = browser.execute_script(plan, {"context_tokens": case["context"], "concurrency": case["concurrency"], "params": case["params"],
                                            "weights_bytes": case["weights_bytes"], "kv_bytes_per_token": case["kv_bytes_per_token"]})
        for ours, theirs in (("kv_bytes_total", "kv_total"), ("gpus_cp", "gpus_cp"), ("ttft_cp_s", "ttft_cp"), ("ttft_min_gpu_s", "ttft_min"),
                             ("ttft_offload_s", "ttft_offload"), ("cost_cp_usd_per_hour", "cost_cp")):
            check(theirs not in case or abs(out[ours] / case[theirs] - 1) < 1e-9, f"{ours} is {out[ours]}, the vectors have {case.get(theirs)}")
    for case in vectors["ttft"]:
        got = browser.execute_script("const c = arguments[0]; return wasm.ttft_ideal_s(c.alpha, c.n_tokens, c.T, c.R, c.W, 0)", case)
        check(abs(got - case["ttft_s"]) <= 1e-12 * case["ttft_s"], f"ttft_ideal_s {got}, not {case['ttft_s']}")
    if subprocess.run([REFILL, "plan", "--help"], capture_output=True).returncode != 0:
        print("no `refill plan` to compare with")
        return
    draw = random.Random(5)
    for _ in range(20):
        inputs = {"context_tokens": draw.randint(1000, 500000), "concurrency": draw.randint(1, 2000), "gpu_usd_per_hour": draw.randint(100, 900) / 100,
                  "flops_per_s": draw.randint(1, 900) * 1e12, "nvme_bytes_per_s": draw.randint(1, 100) * 1e9, "nvme_bytes": draw.randint(1, 60) * 1e12}
        line = [REFILL, "plan", "--json", "--context", str(inputs["context_tokens"]), "--concurrency", str(inputs["concurrency"]),
                "--gpu-cost", str(inputs["gpu_usd_per_hour"]), "--tflops", str(int(inputs["flops_per_s"] / 1e12)),
                "--nvme-bw", f"{int(inputs['nvme_bytes_per_s'] / 1e9)}GB/s", "--nvme-capacity", f"{int(inputs['nvme_bytes'] / 1e12)}000000000000"]
        run = subprocess.run(line, capture_output=True, text=True)
        check(run.returncode == 0, "plan: " + run.stderr)
        if run.returncode != 0:
            return
        told, out = report_hostile.flattened(json.loads(run.stdout)), browser.execute_script(plan, inputs)
        same = [name for name in out if name in told and name != "write_s_per_token"]  # planned with other drives
        check(len(same) >= 10, f"only {same} in common with plan --json")
        for name in same:
            check(abs(out[name] - told[name]) <= 1e-12 * abs(told[name]), f"{name}: page {out[name]!r}, plan {told[name]!r} at {line[3:]}")


def check_keyboard(browser):
    screen(browser, 1280)
    visit(browser, "page.html")
    seen, outlines = [], 0
    for _ in range(60):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        focused = browser.execute_script("""const a = document.activeElement, s = getComputedStyle(a);
          return [a.id || a.className || a.tagName + ':' + a.textContent.slice(0, 20), s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0]""")
        seen.append(focused[0])
        outlines += focused[1]
        if focused[0] == "input-alpha":
            break
    check(seen[0] == "skip", f"the first stop is {seen[0]}")
    check("input-alpha" in seen, f"Tab does not reach the sliders: {seen}")
    check(outlines == len(seen), "a focused element has no outline")
    before = pictures(browser)
    for _ in range(5):
        browser.switch_to.active_element.send_keys(Keys.ARROW_LEFT)
    check(pictures(browser) != before, "arrow keys do not move a slider")
    summary = browser.find_elements(By.CSS_SELECTOR, "details.result > summary")[1]
    browser.execute_script("arguments[0].focus()", summary)
    summary.send_keys(Keys.ENTER)
    check(wait(browser, "document.getElementById('result-2').open"), "Enter does not open a result")
    nameless = browser.execute_script("""return [...document.querySelectorAll('input, select, button, canvas, svg, [role=region]')].filter((e) =>
      !(e.labels && e.labels.length) && !e.getAttribute('aria-label') && !e.textContent.trim()).map((e) => e.outerHTML.slice(0, 80))""")
    check(not nameless, f"without a name: {nameless}")
    twice = browser.execute_script("const ids = [...document.querySelectorAll('[id]')].map((e) => e.id); return ids.filter((id, i) => ids.indexOf(id) !== i)")
    check(not twice, f"ids given twice: {twice}")
    no_complaint(browser, "keyboard")


def check_screens(browser):
    for width in (360, 768, 1280):
        screen(browser, width)
        visit(browser, "page.html")
        browser.execute_script(OPEN_ALL)
        time.sleep(0.6)
        wide = browser.execute_script("return document.documentElement.scrollWidth")
        check(wide <= width, f"{wide} pixels wide on a screen of {width}")
    screen(browser, 1280, scheme="light")
    time.sleep(0.2)
    light = pictures(browser)
    screen(browser, 1280, scheme="dark")
    time.sleep(0.4)
    check(pictures(browser) != light, "charts stay light in the dark")
    for problem in browser.execute_script(UNDRAWN):
        check(False, "dark: " + problem)
    for scheme in ("light", "dark"):
        screen(browser, 1280, scheme=scheme)
        colors = browser.execute_script("const s = getComputedStyle(document.documentElement); return Object.fromEntries("
                                        "['page','card','ink','muted','accent','good','warn','bad','c0','c1','c2','c3','c4','c5'].map((n) => [n, s.getPropertyValue('--' + n).trim()]))")
        for name, color in colors.items():
            least = 4.5 if name in ("ink", "muted", "accent", "good", "warn", "bad") else 3.0
            ratio = report_hostile.contrast(color, colors["card"])
            check(name in ("page", "card") or ratio >= least, f"{scheme}: contrast of {name} is {ratio:.1f}")
    screen(browser, 1280)
    pdf = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"]
    check(len(pdf) > 50000, f"printed to {len(pdf)} characters")
    no_complaint(browser, "screens")


def check_hostile(browser):
    screen(browser, 1280)
    report_hostile.write_results(WORK)
    report("hostile.html", "hostile.json", "hostile-trace.json", "missing.json", "wrong-kinds.json", "huge.json", "sweep.json")
    visit(browser, "hostile.html")
    browser.execute_script(OPEN_ALL)
    time.sleep(0.8)
    check(browser.execute_script("return window.owned") is None, "a text of a result ran")
    check(browser.execute_script("return document.documentElement.dataset.ready") == "yes", "a hostile result breaks the page")
    check(browser.execute_script("return document.querySelectorAll('#report img, #report script, #report iframe, #report svg script').length") == 0, "markup of a result became elements")
    check(report_hostile.EVIL[0] in words_of(browser), "the hostile text is not shown as text")
    check("holds nothing that this page knows" in words_of(browser), "an empty result is not told")
    check(browser.execute_script("return document.documentElement.scrollWidth") <= 1280, "a long name makes the page scroll sideways")
    for problem in browser.execute_script(UNDRAWN):
        check(not problem.startswith("planner"), "hostile: " + problem)
    no_complaint(browser, "hostile.html")
    report_hostile.write_edited(WORK, "hostile.html", "edited.html")  # by hand, past the program's checks
    visit(browser, "edited.html")
    words = words_of(browser)
    check("refill/9" in words and "this page reads refill/1" in words, "another schema is not told")
    no_complaint(browser, "edited.html")


def check_bare(browser):
    """A page built where Chart.js and the WebAssembly toolchain are missing says so and shows the rest."""
    built = os.path.join(WORK, "bare")
    environment = {**os.environ, "CHARTJS": "/nonexistent", "WASM_CC": "/nonexistent"}
    run = subprocess.run([os.path.join(ROOT, "scripts/report/build.sh"), built], cwd=ROOT, env=environment, capture_output=True, text=True)
    check(run.returncode == 0, "build.sh without tools: " + run.stderr)
    report_hostile.write_bare(WORK, os.path.join(built, "page.html"), "page.html", "bare.html")
    visit(browser, "bare.html")
    words = words_of(browser)
    check("without Chart.js" in words and "without a WebAssembly toolchain" in words, "what is missing is not told")
    check(len(browser.find_elements(By.CSS_SELECTOR, "figure table")) > 3, "no tables where charts would be")
    no_complaint(browser, "bare.html")


def main():
    browser = start()
    try:
        for part in (check_page, check_sliders, check_address, check_arithmetic, check_keyboard, check_screens, check_hostile, check_bare):
            since = time.monotonic()
            part(browser)
            print(f"{part.__name__}: {time.monotonic() - since:.1f} s")
    finally:
        browser.quit()
    print(f"{len(failures)} failed")
    return 1 if failures else 0


sys.exit(main())
