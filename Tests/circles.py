#!/usr/bin/env python3
"""Finds circles between the files of a target: ends with 1 where a file needs another one that needs it, directly or through others.

A file needs another one where it names a type that is declared there, in code. Names are looked up in the target alone. One that several files
declare, as a type within a type, counts for none of them.
"""
import collections
import pathlib
import re
import sys

DECLARATION = re.compile(r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|final|indirect|nonisolated)\s+)*"
                         r"(?:struct|class|enum|actor|protocol|typealias)\s+([A-Z]\w*)", re.MULTILINE)
NO_CODE = re.compile(r'//[^\n]*|"""(?:.|\n)*?"""|"(?:\\.|[^"\\\n])*"')
# Of `Outer.Inner` the first name alone: the second one is a member of it.
NAME = re.compile(r"(?<!\w\.)\b[A-Z]\w+")


def arrows(folder):
    """For each file the names that it uses of each other one."""
    code = {file: NO_CODE.sub("", file.read_text()) for file in sorted(folder.rglob("*.swift"))}
    places = collections.defaultdict(set)
    for file, text in code.items():
        for name in DECLARATION.findall(text):
            places[name].add(file)
    homes = {name: next(iter(files)) for name, files in places.items() if len(files) == 1}
    found = {file: {} for file in code}
    for file, text in code.items():
        for name in sorted(set(NAME.findall(text))):
            home = homes.get(name, file)
            if home != file:
                found[file].setdefault(home, []).append(name)
    return found


def reached(graph, start):
    """All files that are needed from `start` on, itself only where a way leads back."""
    seen, ahead = set(), [start]
    while ahead:
        for file in graph[ahead.pop()]:
            if file not in seen:
                seen.add(file)
                ahead.append(file)
    return seen


def main():
    is_good = True
    for folder in sorted(path for path in pathlib.Path("Sources").iterdir() if path.is_dir()):
        graph = arrows(folder)
        needs = {file: reached(graph, file) for file in graph}
        for file, others in graph.items():
            for other, names in others.items():
                if file in needs[other]:
                    is_good = False
                    print(f"{file} needs {other} ({', '.join(names)}), which needs it again", file=sys.stderr)
    return 0 if is_good else 1


sys.exit(main())
