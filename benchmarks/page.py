"""Time the page in Chromium: until an answer, a document and the empty page are painted.

    sourceline rebuild-index
    python benchmarks/page.py [--questions 50]

Serves the index of the settings, as ``sourceline serve`` does. Prints the median and 95th percentile of each step: from
a request for the empty page until its first paint, from Enter until the first answer is painted, with reading and
without, and from choosing an answer until its document is painted.
"""

import argparse
import itertools
import os
import shutil
import statistics
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parent))
from serving import running, seed_questions

# Resolves once the selector matches and the frame after it was painted: milliseconds by the page's own clock.
TIMED = """async ([act, selector]) => {
  const began = performance.now();
  const there = new Promise((done) => {
    const watcher = new MutationObserver(look);
    function look() {
      if (!document.querySelector(selector)) return;
      watcher.disconnect();
      requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - began)));
    }
    watcher.observe(document, { subtree: true, childList: true, attributes: true });
  });
  if (act === "ask") document.querySelector("#ask").requestSubmit();
  else document.querySelector(act).click();
  return there;
}"""
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"


def main() -> None:
    """Ask the seeds' questions one after the other, each in a fresh page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=50)
    arguments = parser.parse_args()
    chromium = shutil.which("chromium")
    if not chromium:
        sys.exit("the browser is missing: apt-get install -y chromium")
    with running() as (_, port), sync_playwright() as playwright:
        sandbox = [] if os.geteuid() else ["--no-sandbox"]
        browser = playwright.chromium.launch(executable_path=chromium, args=sandbox)
        times = measure(browser.new_page(), f"http://127.0.0.1:{port}/", arguments.questions)
        browser.close()
    for step, values in times.items():
        p95 = statistics.quantiles(values, n=20)[-1]
        print(f"{step:32} {statistics.median(values):8.1f} ms   (p95 {p95:.1f})")


def measure(page: Page, url: str, count: int) -> dict[str, list[float]]:
    """Return the milliseconds of each step."""
    steps = ("first paint of the page", "Enter to answer", "Enter to answer, fast", "answer to document")
    times: dict[str, list[float]] = {step: [] for step in steps}
    for _ in range(10):
        page.goto(url)
        page.wait_for_function(PAINTED)
        times["first paint of the page"].append(page.evaluate(PAINTED))
    for question in itertools.islice(itertools.cycle(seed_questions()), count):
        page.goto(url)
        page.fill("#question", question)
        times["Enter to answer"].append(page.evaluate(TIMED, ["ask", ".answer"]))
        # The document of the first answer opens by itself; choosing another one moves the focus there.
        page.locator("#reader .sentence[aria-current]").or_(page.locator(".silence")).first.wait_for()
        if page.locator(".lead").count():
            opened = page.evaluate(TIMED, [".answer[data-rank='2'] .open", "#reader .sentence[aria-current]:focus"])
            times["answer to document"].append(opened)
        page.goto(url)
        page.fill("#question", question)
        page.evaluate("document.querySelector('#fast').checked = true")
        times["Enter to answer, fast"].append(page.evaluate(TIMED, ["ask", ".answer"]))
    return times


if __name__ == "__main__":
    main()
