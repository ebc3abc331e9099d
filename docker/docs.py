#!/usr/bin/env python3
"""Builds the documentation with DocC, without a warning.

  docker/docs.py OUT                 from the root of the repository
  docker/docs.py --catalogue OUT     only the catalogue in DocC's form, for a test

Pages link to one another as Markdown does, by file and heading, so that the links work where a code host shows the pages. DocC
resolves links of the form doc:Page#Heading only, so this script builds from a copy in which the links have that form.
"""
import pathlib
import re
import shutil
import subprocess
import sys

CATALOGUE = pathlib.Path("Sources/TandemServer/Documentation.docc")


def headings(text):
    """The headings of a page, as written."""
    outside = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    return re.findall(r"^#+ (.+)$", outside, flags=re.M)


def anchor(heading):
    """A heading's anchor on a code host."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def write(catalogue):
    """Writes the pages in DocC's form."""
    pages = {page.name: page.read_text() for page in CATALOGUE.glob("*.md")}

    def link(match):
        text, page, fragment = match.group(1), match.group(2), match.group(3)
        if page not in pages:
            sys.exit(f"{match.group(0)}: there is no such page")
        target = page.removesuffix(".md")
        if fragment:
            found = [heading for heading in headings(pages[page]) if anchor(heading) == fragment]
            if not found:
                sys.exit(f"{match.group(0)}: there is no such heading")
            target += "#" + re.sub(r"[^\w\- ]", "", found[0]).replace(" ", "-")
        # A link in a list of topics has the page's own title.
        return f"[{text}](doc:{target})" if fragment else f"<doc:{target}>"

    for name, text in pages.items():
        text = re.sub(r"(?<!!)\[([^\]]+)\]\(([A-Za-z]+\.md)(?:#([^)]+))?\)", link, text)
        text = re.sub(r"\]\(Resources/([\w-]+)\.png\)", r"](\1)", text)
        (catalogue / name).write_text(text)


def main():
    if sys.argv[1] == "--catalogue":
        shutil.copytree(CATALOGUE, sys.argv[2])
        return write(pathlib.Path(sys.argv[2]))
    out = pathlib.Path(sys.argv[1]).resolve()
    copy = pathlib.Path(".build/docs-source").resolve()
    shutil.rmtree(copy, ignore_errors=True)
    for name in ["Package.swift", "Package.resolved", "Sources", "Tests"]:
        source = pathlib.Path(name)
        if source.is_dir():
            # With their times, so that only the parts that changed are built again.
            shutil.copytree(source, copy / name)
        elif source.exists():
            copy.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy / name)
    write(copy / CATALOGUE)
    out.mkdir(parents=True, exist_ok=True)
    sys.exit(subprocess.call([
        "swift", "package", "--package-path", str(copy), "--scratch-path", str(copy.parent / "docs-build"),
        "--allow-writing-to-directory", str(out), "generate-documentation", "--target", "TandemServer",
        "--warnings-as-errors", "--output-path", str(out)]))


main()
