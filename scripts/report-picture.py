#!/usr/bin/python3
"""The pictures of the report page in README.md, of the demonstration's results.

    [REFILL=build/refill] scripts/report-picture.py

Leaves results/demo/report.png (what was measured) and results/demo/planner.png. Needs Debian's
chromium, chromium-driver and python3-selenium, as the page's test does.
"""
import base64
import os
import shutil
import subprocess
import tempfile
import time

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

WIDTH = 1200
READY = "return document.documentElement.dataset.ready"
# The first question, of a drive as this disk is under an H100: the plots of its answer.
ASK = "document.querySelector('.ask').click(); scrollTo(0, 0)"


def start():
    options = Options()
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "hide-scrollbars"):
        options.add_argument("--" + flag)
    return webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)


def picture(browser, name, top, height):
    clip = {"x": 0, "y": top, "width": WIDTH, "height": height, "scale": 1}
    shot = browser.execute_cdp_cmd(
        "Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    with open(f"results/demo/{name}.png", "wb") as file:
        file.write(base64.b64decode(shot["data"]))


def visit(browser, page, fragment):
    browser.get("about:blank")
    browser.get(f"file://{page}{fragment}")
    while not browser.execute_script(READY):
        time.sleep(0.05)
    time.sleep(0.5)


def take_all(browser, refill, work):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": WIDTH, "height": 1200, "deviceScaleFactor": 1, "mobile": False})
    for result in ("cpu", "h100"):
        subprocess.run([refill, "report", f"results/demo/{result}.json", "-o",
                        os.path.join(work, result + ".html")], check=True)
    visit(browser, os.path.join(work, "cpu.html"), "")
    picture(browser, "report", 0, 1290)
    visit(browser, os.path.join(work, "h100.html"), "#plan:alpha=0.9&flops_per_s=700e12")
    browser.execute_script(ASK)
    time.sleep(1)
    top = browser.execute_script(
        "return document.getElementById('planner').getBoundingClientRect().top + scrollY")
    picture(browser, "planner", top, 1230)


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    refill = os.environ.get("REFILL", "build/refill")
    browser = start()
    try:
        with tempfile.TemporaryDirectory() as work:
            take_all(browser, refill, work)
    finally:
        browser.quit()


main()
