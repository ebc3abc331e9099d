#!/usr/bin/env python3
"""Writes a manual page for each program, from the programs' descriptions of themselves, and shell completions.

    docker/man.py FOLDER-OF-PROGRAMS MAN-FOLDER COMPLETIONS-FOLDER
"""
import json
import pathlib
import subprocess
import sys


def escaped(text):
    """Roff reads a backslash, and a dot or a quote at the start of a line."""
    lines = text.replace("\\", "\\e").replace("-", "\\-").split("\n")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in lines)


def name_of(argument):
    names = ["--" + n["name"] if n["kind"] == "long" else "-" + n["name"] for n in argument.get("names") or []]
    value = argument.get("valueName", "value")
    if argument["kind"] == "positional":
        return "<%s>" % value
    names = ", ".join(sorted(names, key=len))
    return names + ("=<%s>" % value if argument["kind"] == "option" else "")


def options(command):
    section, text = None, ""
    for argument in command.get("arguments") or []:
        if not argument.get("shouldDisplay", True):
            continue
        if argument.get("sectionTitle") != section:
            section = argument.get("sectionTitle")
            if section:
                text += ".SS %s\n" % escaped(section)
        text += ".TP\n.B %s\n%s\n" % (escaped(name_of(argument)), escaped(argument.get("abstract") or ""))
    return text


def commands(command, prefix):
    text = ""
    for inner in command.get("subcommands") or []:
        if inner["commandName"] == "help":
            continue
        name = prefix + " " + inner["commandName"]
        text += ".SH %s\n%s\n.PP\n%s\n" % (
            escaped(name.upper()), escaped(inner.get("abstract") or ""), escaped(inner.get("discussion") or ""))
        text += options(inner) + commands(inner, name)
    return text


def page(program, command):
    version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout.split()
    number = [word for word in version if word[:1].isdigit()]
    name = command["commandName"]
    paragraphs = escaped(command.get("discussion") or "").replace("\n\n", "\n.PP\n")
    return (
        '.TH %s 1 "" "Tandem %s" "Tandem"\n' % (name.upper(), number[0] if number else "")
        + ".SH NAME\n%s \\- %s\n" % (escaped(name), escaped((command.get("abstract") or "").rstrip(".")))
        + ".SH SYNOPSIS\n.B %s\n%s[options]\n" % (escaped(name), "<command> " if commands(command, name) else "")
        + ".SH DESCRIPTION\n%s\n.SH OPTIONS\n%s" % (paragraphs, options(command))
        + commands(command, name))


def plain(program, name):
    """The plugin, which parses no flags: its help, as it stands."""
    text = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    first, rest = text.split("\n", 1)
    return ('.TH %s 1 "" "Tandem" "Tandem"\n.SH NAME\n%s \\- %s\n.SH DESCRIPTION\n.nf\n%s\n.fi\n' % (
        name.upper(), escaped(name), escaped(first.split(": ", 1)[1].rstrip(".")), escaped(rest.strip("\n"))))


def main(programs, man, completions):
    for folder in (man, completions):
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    for name in ("tandemd", "tandemctl", "tandem-controller", "tandem-load", "tandem-cni"):
        program = "%s/%s" % (programs, name)
        if name == "tandem-cni":
            text = plain(program, name)
        else:
            dump = subprocess.run([program, "--experimental-dump-help"], capture_output=True, text=True, check=True)
            text = page(program, json.loads(dump.stdout)["command"])
            for shell in ("bash", "zsh", "fish"):
                script = subprocess.run(
                    [program, f"--generate-completion-script={shell}"], capture_output=True, text=True, check=True)
                pathlib.Path(completions, "%s.%s" % (name, shell)).write_text(script.stdout)
        pathlib.Path(man, name + ".1").write_text(text)


main(*sys.argv[1:])
