#!/usr/bin/env python3
"""Records kubectl's reading of each text of recorded.jsonl anew: one spec for each object, or that it refuses the text."""
import json
import pathlib
import subprocess

FILE = pathlib.Path(__file__).with_name("recorded.jsonl")
COMMAND = "kubectl label --kubeconfig=/dev/null --local --dry-run=client -o json -f - added=here".split()


def objects(text):
    decoder, position = json.JSONDecoder(), 0
    while text[position:].strip():
        position += len(text[position:]) - len(text[position:].lstrip())
        value, position = decoder.raw_decode(text, position)
        yield value


def recorded(text):
    result = subprocess.run(COMMAND, input=text.encode(), capture_output=True)
    if result.returncode != 0:
        return {"text": text, "refused": True}
    return {"text": text, "specs": [value.get("spec") for value in objects(result.stdout.decode())]}


lines = [json.loads(line)["text"] for line in FILE.read_text().strip().split("\n")]
FILE.write_text("".join(json.dumps(recorded(text)) + "\n" for text in lines))
