"""Time the page in Chromium: ``python benchmarks/page.py [--questions 50]``.

Uses the settings as ``sourceline serve`` does (build the index first). Prints medians and the slowest of twenty: from
Enter until the first answer is painted, from choosing it until its document is, and until the empty page is painted.
"""

import argparse
import itertools
import os
import shutil
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parent))
from serving import live_index, seed_questions

# Until what is looked for stands in the page and the frame after it was painted; milliseconds by the page's own clock.
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
    """Ask the seeds' questions, one after the other, each in a page that shows the one before."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=50)
    arguments = parser.parse_args()
    chromium = shutil.which("chromium")
    if not chromium:
        sys.exit("the browser is missing: apt-get install -y chromium")
    with live_index() as (_, port), sync_playwright() as playwright:
        sandbox = [] if os.geteuid() else ["--no-sandbox"]
        browser = playwright.chromium.launch(executable_path=chromium, args=sandbox)
        figures = measure(browser.new_page(), f"http://127.0.0.1:{port}/", arguments.questions)
        browser.close()
    for name, values in figures.items():
        print(f"{name:32} {statistics.median(values):8.1f} ms   (p95 {percentile(values):.1f})")


def measure(page: Page, url: str, count: int) -> dict[str, list[float]]:
    """Return the milliseconds of each step."""
    figures: dict[str, list[float]] = {"first paint of the page": [], "Enter to answer": [], "answer to document": []}
    for _ in range(10):
        page.goto(url)
        page.wait_for_function(PAINTED)
        figures["first paint of the page"].append(page.evaluate(PAINTED))
    for question in itertools.islice(itertools.cycle(seed_questions()), count):
        page.goto(url)
        page.fill("#question", question)
        figures["Enter to answer"].append(page.evaluate(TIMED, ["ask", ".answer"]))
        opened = page.evaluate(TIMED, [".answer .open", "#reader .sentence[aria-current]"])
        figures["answer to document"].append(opened)
    return figures


def percentile(values: Sequence[float]) -> float:
    """Return the 95th percentile."""
    return statistics.quantiles(values, n=20)[-1]


if __name__ == "__main__":
    main()
