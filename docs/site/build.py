"""Builds the documentation's site into ``build/docs/site``, and checks every link in it: ``make docs``.

The pages are laid out as they are in the repository, with all that they link to, so that a relative link leads to the
same thing in the repository and on the site.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from docs.site.reference import http_page, python_page

from sourceline import Index
from sourceline.config import load_settings
from sourceline.server.app import create_app

ROOT = Path(__file__).parent.parent.parent
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.DOTALL | re.MULTILINE)
# What makes a browser load something, and with which attribute. A link (``a``) loads nothing by itself.
_LOADING = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "object": "data"}
_LOADED_BY_CSS = re.compile(r"""url\(\s*["']?([^"')\s]+)|@import\s+["']([^"']+)""")


def main() -> None:
    """Build the site; a warning of the builder, a dead link or a request to elsewhere makes the exit code 1."""
    folder = ROOT / "build" / "docs"
    shutil.rmtree(folder, ignore_errors=True)
    pages = folder / "pages"
    stage(pages)
    write_reference(pages / "docs" / "reference")
    shutil.copy(ROOT / "docs" / "site" / "zensical.toml", folder)
    shutil.copy(ROOT / "docs" / "site" / "style.css", pages)
    zensical = Path(sys.executable).parent / "zensical"
    built = subprocess.run([zensical, "build", "--strict", "--config-file", folder / "zensical.toml"], check=False)
    if built.returncode:
        sys.exit(built.returncode)
    site = folder / "site"
    for page in pages.rglob("*.md"):  # as llms.txt and programs want them
        shutil.copy(page, site / page.relative_to(pages))
    (site / "llms.txt").write_text(llms_txt((ROOT / "docs" / "index.md").read_text("utf-8")), "utf-8")
    found = list(problems(site))
    print(*found, f"{len(found)} problems in {site}", sep="\n")
    sys.exit(bool(found))


def stage(pages: Path) -> None:
    """Copy README, all pages of ``docs/``, and whatever files they link to, and so on."""
    waiting = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    done = set()
    while waiting:
        file = waiting.pop()
        if file in done:
            continue
        done.add(file)
        copy = pages / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
        if file.suffix == ".md":
            waiting += linked_files(file)


def linked_files(page: Path) -> Iterator[Path]:
    """Yield the files that a page links to."""
    for link in _LINK.findall(_CODE.sub("", page.read_text("utf-8"))):
        address = urlsplit(link)
        if not address.scheme and address.path:
            yield (page.parent / unquote(address.path)).resolve(strict=True)


def write_reference(folder: Path) -> None:
    """Write the pages that are made from the code. The HTTP API describes itself once there is an index."""
    folder.mkdir()
    (folder / "python.md").write_text(python_page(), "utf-8")
    with tempfile.TemporaryDirectory() as index:
        Index.build(ROOT / "seeds", index)
        app = create_app(load_settings(documents=ROOT / "seeds", index=Path(index)))
        (folder / "http.md").write_text(http_page(app.openapi()), "utf-8")


def llms_txt(contents: str) -> str:
    """Return the table of contents by the form of llmstxt.org: links start at the site's root, each is one line."""
    contents = contents.replace("# Documentation", "# Sourceline", 1)
    links = re.sub(r"\]\((?!https?:)([^)]+)\)", r"](docs/\1)", contents).replace("](docs/../", "](")
    return links + "- [HTTP API](docs/reference/http.md): every route with its parameters, and every schema\n"


class _Page(HTMLParser):
    """What is in a page that can be linked to, and what it links to and loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        """Note what an element names, links to or loads."""
        attributes = dict(attrs)
        self.anchors |= {attributes[name] for name in ("id", "name") if attributes.get(name)}
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])
        if tag in _LOADING and attributes.get(_LOADING[tag]):
            self.loaded.append(attributes[_LOADING[tag]])
        self.loaded += _loaded_by_css(attributes.get("style") or "")


def problems(site: Path) -> Iterator[str]:
    """Yield what is wrong with a built site: links that lead nowhere, and whatever it would load from elsewhere."""
    pages = {file: _Page(file.read_text("utf-8")) for file in sorted(site.rglob("*.html"))}
    for file, page in pages.items():
        for link in [*page.links, *page.loaded]:
            target, anchor = _target(site, file, link)
            if target and not target.is_file():
                yield f"{file.relative_to(site)} links to {link}, which is not there"
            elif target in pages and anchor and anchor not in pages[target].anchors:
                yield f"{file.relative_to(site)} links to {link}, which has no such anchor"
    loaded = {file: page.loaded for file, page in pages.items()}
    loaded |= {file: _loaded_by_css(file.read_text("utf-8")) for file in sorted(site.rglob("*.css"))}
    for file, links in loaded.items():
        yield from (f"{file.relative_to(site)} loads {link}" for link in links if urlsplit(link).netloc)


def _target(site: Path, page: Path, link: str) -> tuple[Path | None, str]:
    """Return the file of the site to which a link leads, if it leads to one, and the anchor in it."""
    address = urlsplit(link)
    if address.scheme or address.netloc:
        return None, ""
    path = unquote(address.path)
    target = site / path[1:] if path.startswith("/") else (page.parent / path).resolve() if path else page
    return target / "index.html" if target.is_dir() else target, unquote(address.fragment)


def _loaded_by_css(text: str) -> list[str]:
    return [link for match in _LOADED_BY_CSS.findall(text) for link in match if link]


if __name__ == "__main__":
    main()
