"""The report's page in headless Chromium: report_page.py REFILL ROOT DIRECTORY [PART...]

DIRECTORY holds results and page.html made by tests/e2e/report.sh, which starts this twice, with
half of the parts each. Each check prints one line where it fails; the exit status is 1 if any did.
Pixels are looked at, not only elements: a chart counts as drawn when
each of its lines left its colour on the canvas.
"""

import json
import os
import random
import subprocess
import sys
import time

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

REFILL, ROOT, WORK = sys.argv[1:4]
sys.path.insert(0, os.path.join(ROOT, "tests/e2e"))
import report_hostile  # noqa: E402
from report_browser import (  # noqa: E402
    OPEN_ALL,
    check,
    failures,
    no_complaint,
    report,
    screen,
    start,
    undrawn,
    until,
    visit,
    wait,
    words_of,
)
from report_planner import (
    check_address,
    check_arithmetic,
    check_sliders,
    pictures,
)  # noqa: E402


def check_page(browser):
    size = os.path.getsize(os.path.join(WORK, "page.html"))
    check(size < 2_000_000, f"page of {size} bytes")
    screen(browser, 1280)
    for _ in range(5):  # the machine may be busy
        visit(browser, "page.html")
        took_ms = browser.execute_script(
            "const t = performance.getEntriesByType('navigation')[0]; return t.domComplete"
        )
        if took_ms < 3000:
            break
    print(f"page {size} bytes, complete after {took_ms:.0f} ms")
    check(took_ms < 3000, f"complete after {took_ms} ms")
    check(
        browser.execute_script("return performance.getEntriesByType('resource').length") == 0,
        "the page asked for something else",
    )
    browser.execute_script(OPEN_ALL)
    charts = "drawn.filter((d) => d.canvas.offsetParent).length"
    if not wait(browser, charts + " >= 6 + 5 + 4 + 3"):
        check(False, f"only {browser.execute_script('return ' + charts)} charts")
    for problem in undrawn(browser):
        check(False, problem)
    bars = (
        "[...document.querySelectorAll('.timeline rect')]"
        ".filter((r) => r.getBoundingClientRect().width > 0).length"
    )
    if not wait(browser, bars + " > 100"):
        check(False, f"timeline of {browser.execute_script('return ' + bars)} bars")
    words = words_of(browser)
    for wanted in (
        json.load(open(os.path.join(WORK, "sweep.json")))["answer"],
        "played back, not measured",
        "drive emulated",
        "Results compared",
        "T, compute per token",
        "What each target gives",
        "Reads over page size",
        "Each part alone",
        "Latency against rate",
        "one, ",
        "faster",
        "Left out, in one of them alone",
    ):
        check(wanted in words, f"'{wanted}' is not on the page")
    check_verdicts(browser)
    check_reading(browser)
    no_complaint(browser, "page.html")


def check_reading(browser):
    """Zero is named on each axis that passes it, no row is high for one cell that is cut into
    many lines, and of two targets of one result neither is told by its number."""
    unnamed = browser.execute_script(
        """return drawn.map(({canvas, chart}) => [canvas.id, chart.scales.y])
      .filter(([, y]) => y.type === 'linear' && y.min < 0 && y.max > 0 &&
                         !y.ticks.some((t) => t.value === 0)).map(([id]) => id)"""
    )
    check(not unnamed, f"no zero on the axis of {unnamed}")
    high = browser.execute_script(
        """return [...document.querySelectorAll('details')]
      .filter((d) => d.querySelector('summary').textContent.endsWith('as a table'))
      .flatMap((d) => [...d.querySelectorAll('tbody tr')])
      .filter((tr) => tr.getBoundingClientRect().height > 60).map((tr) => tr.textContent)"""
    )
    check(not high, f"rows of three lines and more: {high[:3]}")
    numbered = browser.execute_script(
        """return [...document.querySelectorAll('#compared details')]
      .filter((d) => d.querySelector('summary').textContent.includes(': two, against'))
      .map((d) => d.textContent).filter((t) => t.includes('target 0'))"""
    )
    check(not numbered, f"a target by its number: {numbered[:1]}")


def check_verdicts(browser):
    """What the page calls changed is what `refill compare` does."""
    told = browser.execute_script(
        """return [...document.querySelectorAll('#compared details')]
      .filter((d) => d.querySelector('summary').textContent.startsWith('B = faster.json'))
      .flatMap((d) => [...d.querySelector('table').querySelectorAll('tbody tr')])
      .map((tr) => [...tr.cells].map((c) => c.textContent))"""
    )
    run = subprocess.run(
        [REFILL, "compare", "sweep.json", "faster.json", "-o", "compared.json"],
        cwd=WORK,
        capture_output=True,
        text=True,
    )
    check(run.returncode == 0, run.stderr)
    with open(os.path.join(WORK, "compared.json"), encoding="utf-8") as file:
        rows = [r for r in json.load(file)["rows"] if r["main"] or r["array"] == "summary"]
    check(
        [[t[0], t[1], t[7]] for t in told] == [[r["key"], r["field"], r["verdict"]] for r in rows],
        f"the page's verdicts differ from compare's: {told} {rows}",
    )


def check_keyboard(browser):
    screen(browser, 1280)
    visit(browser, "page.html")
    seen, outlines = [], 0
    for _ in range(60):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        focused = browser.execute_script(
            """const a = document.activeElement, s = getComputedStyle(a);
          return [a.id || a.className || a.tagName + ':' + a.textContent.slice(0, 20),
            s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0]"""
        )
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
    check(until(lambda: pictures(browser) != before), "arrow keys do not move a slider")
    summary = browser.find_elements(By.CSS_SELECTOR, "details.result > summary")[1]
    browser.execute_script("arguments[0].focus()", summary)
    summary.send_keys(Keys.ENTER)
    check(
        wait(browser, "document.getElementById('result-2').open"),
        "Enter does not open a result",
    )
    nameless = browser.execute_script(
        """return [...document.querySelectorAll(
      'input, select, button, canvas, svg, [role=region]')].filter((e) =>
      !(e.labels && e.labels.length) && !e.getAttribute('aria-label') &&
      !e.textContent.trim()).map((e) => e.outerHTML.slice(0, 80))"""
    )
    check(not nameless, f"without a name: {nameless}")
    twice = browser.execute_script(
        "const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);"
        "return ids.filter((id, i) => ids.indexOf(id) !== i)"
    )
    check(not twice, f"ids given twice: {twice}")
    no_complaint(browser, "keyboard")


def check_screens(browser):
    for width in (360, 768, 1280):
        screen(browser, width)
        visit(browser, "page.html")
        browser.execute_script(OPEN_ALL)
        time.sleep(0.6)
        wide = "document.documentElement.scrollWidth"
        if not wait(browser, f"{wide} <= {width}", 20):
            wide = browser.execute_script("return " + wide)
            check(False, f"{wide} pixels wide on a screen of {width}")
    screen(browser, 1280, scheme="light")
    time.sleep(0.2)
    light = pictures(browser)
    screen(browser, 1280, scheme="dark")
    check(until(lambda: pictures(browser) != light), "charts stay light in the dark")
    for problem in undrawn(browser):
        check(False, "dark: " + problem)
    for scheme in ("light", "dark"):
        screen(browser, 1280, scheme=scheme)
        colors = browser.execute_script(
            "const s = getComputedStyle(document.documentElement); return Object.fromEntries("
            "['page','card','ink','muted','accent','good','warn','bad','c0','c1','c2','c3',"
            "'c4','c5'].map((n) => [n, s.getPropertyValue('--' + n).trim()]))"
        )
        for name, color in colors.items():
            least = 4.5 if name in ("ink", "muted", "accent", "good", "warn", "bad") else 3.0
            ratio = report_hostile.contrast(color, colors["card"])
            check(
                name in ("page", "card") or ratio >= least,
                f"{scheme}: contrast of {name} is {ratio:.1f}",
            )
    screen(browser, 1280)
    pdf = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"]
    check(len(pdf) > 50000, f"printed to {len(pdf)} characters")
    no_complaint(browser, "screens")


def check_hostile(browser):
    screen(browser, 1280)
    report_hostile.write_results(WORK)
    report(
        "hostile.html",
        "hostile.json",
        "hostile-trace.json",
        "missing.json",
        "wrong-kinds.json",
        "hostile-storage.json",
        "wrong-storage.json",
        "huge.json",
        "sweep.json",
    )
    visit(browser, "hostile.html")
    browser.execute_script(OPEN_ALL)
    time.sleep(0.8)
    check(browser.execute_script("return window.owned") is None, "a text of a result ran")
    check(
        browser.execute_script("return document.documentElement.dataset.ready") == "yes",
        "a hostile result breaks the page",
    )
    check(
        browser.execute_script(
            "return document.querySelectorAll('#report :is(img, script, iframe)').length"
        )
        == 0,
        "markup of a result became elements",
    )
    check(report_hostile.EVIL[0] in words_of(browser), "the hostile text is not shown as text")
    check(
        "holds nothing that this page knows" in words_of(browser), "an empty result is not told"
    )
    check(
        browser.execute_script("return document.documentElement.scrollWidth") <= 1280,
        "a long name makes the page scroll sideways",
    )
    for problem in undrawn(browser, "planner"):
        check(False, "hostile: " + problem)
    no_complaint(browser, "hostile.html")
    report_hostile.write_edited(
        WORK, "hostile.html", "edited.html"
    )  # by hand, past the program's checks
    visit(browser, "edited.html")
    words = words_of(browser)
    check(
        "refill/9" in words and "this page reads refill/1" in words,
        "another schema is not told",
    )
    no_complaint(browser, "edited.html")


def check_bare(browser):
    """Built without Chart.js and WebAssembly, it says so and shows the rest."""
    built = os.path.join(WORK, "bare")
    environment = {**os.environ, "CHARTJS": "/nonexistent", "WASM_CC": "/nonexistent"}
    run = subprocess.run(
        [os.path.join(ROOT, "scripts/report/build.sh"), built],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    check(run.returncode == 0, "build.sh without tools: " + run.stderr)
    report_hostile.write_bare(WORK, os.path.join(built, "page.html"), "page.html", "bare.html")
    visit(browser, "bare.html")
    words = words_of(browser)
    check(
        "without Chart.js" in words and "without a WebAssembly toolchain" in words,
        "what is missing is not told",
    )
    check(
        len(browser.find_elements(By.CSS_SELECTOR, "figure table")) > 3,
        "no tables where charts would be",
    )
    no_complaint(browser, "bare.html")


PARTS = {
    "page": check_page,
    "sliders": check_sliders,
    "address": check_address,
    "arithmetic": check_arithmetic,
    "keyboard": check_keyboard,
    "screens": check_screens,
    "hostile": check_hostile,
    "bare": check_bare,
}


def main():
    browser = start()
    try:
        for name in sys.argv[4:] or PARTS:
            since = time.monotonic()
            PARTS[name](browser)
            print(f"{name}: {time.monotonic() - since:.1f} s")
    finally:
        browser.quit()
    print(f"{len(failures)} failed")
    return 1 if failures else 0


sys.exit(main())
