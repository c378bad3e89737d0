"""A headless Chromium for report_page.py: starting it, looking at a page, telling what failed."""

import os
import subprocess
import sys
import time

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

REFILL, ROOT, WORK = sys.argv[1:4]
failures = []


def check(true, what):
    if not true:
        failures.append(what)
        print("FAILED:", what)


def start():
    options = Options()
    options.binary_location = os.environ["CHROMIUM"]
    for flag in (
        "headless=new",
        "no-sandbox",
        "disable-gpu",
        "disable-dev-shm-usage",
        "hide-scrollbars",
        "host-resolver-rules=MAP * ~NOTFOUND",
    ):
        options.add_argument("--" + flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(service=Service(os.environ["CHROMEDRIVER"]), options=options)
    browser.set_script_timeout(120)
    return browser


def screen(browser, width, height=900, scheme="light", media=""):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"media": media, "features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )


def until(true, seconds=60):
    """Whether it became true: a busy box draws late, and a page that is wrong stays so."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def wait(browser, script, seconds=60):
    return until(lambda: browser.execute_script("return " + script), seconds)


def visit(browser, name, fragment=""):
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get("file://" + os.path.join(WORK, name) + fragment)
    check(wait(browser, "document.documentElement.dataset.ready"), name + ": never ready")
    time.sleep(0.2)


def no_complaint(browser, name):
    for line in browser.get_log("browser"):
        check(
            "willReadFrequently" in line["message"], f"{name}: console: {line['message'][:300]}"
        )


def words_of(browser):
    return browser.execute_script("return document.getElementById('main').innerText")


def report(name, *files):
    run = subprocess.run(
        [REFILL, "report", *files, "-o", name], cwd=WORK, capture_output=True, text=True
    )
    check(run.returncode == 0, f"report {' '.join(files)}: {run.stderr}")
    return os.path.getsize(os.path.join(WORK, name)) if run.returncode == 0 else 0


# A chart is drawn when each data set's colour is found on it; a timeline when it has its bars.
UNDRAWN = """
const close = (a, b) => a - b < 40 && b - a < 40;
return drawn.filter((d) => d.canvas.offsetParent).flatMap(({canvas, chart}) => {
  if (!canvas.width || !canvas.height) return [canvas.id + " has no size"];
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const shown = (set) => set.data.some((p) => typeof p === "object" || p > 0);
  return chart.data.datasets.filter(shown).map((set) => {
    const [red, green, blue] =
      [1, 3, 5].map((i) => parseInt(set.borderColor.slice(i, i + 2), 16));
    let found = 0;
    for (let i = 0; i < data.length; i += 4)
      if (data[i + 3] > 200 && close(data[i], red) && close(data[i + 1], green) &&
          close(data[i + 2], blue)) found++;
    return found > 12 ? "" : `${canvas.id}: "${set.label}" left ${found} pixels`;
  }).filter(Boolean);
});"""



def undrawn(browser, which=""):
    """What is wrong with the charts whose names begin so, once they had time to be drawn."""

    def problems():
        return [p for p in browser.execute_script(UNDRAWN) if p.startswith(which)]

    until(lambda: not problems(), 20)
    return problems()


OPEN_ALL = "document.querySelectorAll('details').forEach((d) => { d.open = true; });"
