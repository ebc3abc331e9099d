#!/usr/bin/env python3
"""Draws a Grafana dashboard without Grafana: a page with each panel at its place, of what a Prometheus answers.

Queries are made as Grafana makes them: with the dashboard's variables, and the step and $__rate_interval of the panel's width. Panels
are drawn by Grafana's rules for units, axes, thresholds, mappings and overrides, as far as the dashboard uses them; types, units,
legends and matchers beyond that are errors. Colours and fonts are near enough. Exits with 1 where queries have no data, or a legend is
too long for its panel, and names them.
"""
import argparse
import html
import json
import math
import re
import sys
import time
import urllib.parse
import urllib.request

# Queries that may have no data, by panel and legend, where servers store without etcd: they make no reads from it, and it has no quota.
EMPTY_WITHOUT_ETCD = {("Linearizable read from etcd", "p50"), ("Linearizable read from etcd", "p99"),
                      ("Share of each limit in use", "etcd")}

PALETTE = ["#73BF69", "#F2CC0C", "#8AB8FF", "#FF780A", "#F2495C", "#5794F2", "#B877D9", "#705DA0", "#37872D", "#FADE2A",
           "#447EBC", "#C15C17", "#890F02", "#0A437C", "#6D1F62", "#584477"]
COLOURS = {"green": "#73BF69", "red": "#F2495C", "orange": "#FF9830", "text": "#CCCCDC"}
COLUMNS, CELL, MARGIN, WIDTH = 24, 30, 8, 1440  # Grafana's grid, and the width of the page; all but the first in pixels


def scaled(value, steps, base):
    """The value in the largest of the steps that it reaches, each `base` of the one before."""
    index = 0
    while abs(value) >= base and index < len(steps) - 1:
        value, index = value / base, index + 1
    return f"{plain(value)}{steps[index]}"


def plain(value):
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def seconds(value):
    size = abs(value)
    for limit, unit, one in [(1e-6, "ns", 1e-9), (1e-3, "µs", 1e-6), (1, "ms", 1e-3), (60, "s", 1), (3600, "mins", 60),
                             (86400, "hours", 3600), (604800, "days", 86400), (31536000, "weeks", 604800)]:
        if size < limit:
            return f"{plain(value / one)} {unit}" if value else "0 s"
    return f"{plain(value / 31536000)} years"


UNITS = {
    "short": lambda value: scaled(value, ["", " K", " Mil", " Bil", " Tri"], 1000),
    "bytes": lambda value: scaled(value, [" B", " KiB", " MiB", " GiB", " TiB"], 1024),
    "percentunit": lambda value: f"{plain(value * 100)}%",
    "s": seconds,
    "ops": lambda value: scaled(value, [" ops/s", "K ops/s", "M ops/s"], 1000),
    "reqps": lambda value: scaled(value, [" req/s", "K req/s", "M req/s"], 1000),
}


class Prometheus:
    def __init__(self, address, start, end, scrape):
        self.address, self.start, self.end, self.scrape = address, start, end, scrape

    def get(self, path, **parameters):
        url = f"{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)["data"]

    def label_values(self, query):
        """Grafana's label_values(metric, label)."""
        selector, label = re.fullmatch(r"label_values\((.*),\s*(\w+)\)", query).groups()
        return sorted(self.get(f"label/{label}/values", **{"match[]": selector, "start": self.start, "end": self.end}))

    def series(self, query, variables, width):
        """The series of a range query on a panel of a width in pixels: each with its labels, and its values by their times."""
        wanted = (self.end - self.start) / width
        step = next(each for each in (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
                    if each >= max(wanted * 0.75, self.scrape))
        rate = max(step + self.scrape, 4 * self.scrape)
        text = fill_in(query, {**variables, "__rate_interval": f"{rate}s", "__interval": f"{step}s"})
        start, end = self.start // step * step, self.end // step * step
        for each in self.get("query_range", query=text, start=start, end=end, step=step)["result"]:
            found = {when: float(value) for when, value in each["values"] if math.isfinite(float(value))}
            yield each["metric"], [(when, found.get(when)) for when in range(int(start), int(end) + 1, step)]


def fill_in(query, variables):
    return re.sub(r"\$\{?(\w+)\}?", lambda match: variables[match[1]], query)


def chosen(values):
    """Several values of a variable in a regular expression, as Grafana writes them."""
    quoted = [re.sub(r"([\\^$*+?.()|\[\]{}])", r"\\\\\1", value) for value in values]
    return quoted[0] if len(quoted) == 1 else f"({'|'.join(quoted)})"


class Line:
    """One series of a panel, with the field options that hold for it."""

    def __init__(self, panel, target, labels, points, number):
        self.points = points
        self.values = [value for _, value in points if value is not None]
        self.name = re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda match: labels.get(match[1], ""), target["legendFormat"])
        self.options = json.loads(json.dumps(panel["fieldConfig"]["defaults"]))
        self.options.setdefault("custom", {})
        for override in panel["fieldConfig"]["overrides"]:
            matches = {"byFrameRefID": target["refId"], "byName": self.name}[override["matcher"]["id"]]
            for entry in override["properties"] if matches == override["matcher"]["options"] else []:
                holder, _, key = entry["id"].rpartition(".")
                {"": self.options, "custom": self.options["custom"]}[holder][key] = entry["value"]
        self.unit = UNITS[self.options["unit"]]
        self.colour = PALETTE[number % len(PALETTE)]

    def runs(self, axis):
        """The points between which the line goes: a gap longer than spanNulls, in milliseconds, breaks it."""
        step = self.points[1][0] - self.points[0][0] if len(self.points) > 1 else 0
        longest = max(step, self.options["custom"].get("spanNulls", 0) / 1000)
        runs = []
        for when, value in self.points:
            if value is not None and axis.place(value) is not None:
                if not runs or when - runs[-1][-1][0] > longest:
                    runs.append([])
                runs[-1].append((when, value))
        return runs

    @property
    def axis(self):
        """Lines share an axis where their units, limits and scales are the same."""
        custom = self.options["custom"]
        return json.dumps([self.options["unit"], self.options.get("min"), self.options.get("max"), custom.get("axisPlacement"),
                           custom.get("axisSoftMax"), custom.get("scaleDistribution")])


class Axis:
    """The range of an axis as uPlot chooses it, its ticks, and the place of a value between 0, below, and 1."""

    def __init__(self, lines):
        options = lines[0].options
        scale = options["custom"].get("scaleDistribution", {"type": "linear"})
        self.base = scale["log"] if scale["type"] == "log" else None
        self.unit = lines[0].unit
        values = [value for line in lines for value in line.values if not self.base or value > 0]
        low, high = (min(values), max(values)) if values else (0, 1)
        if self.base:
            self.low = self.base ** math.floor(math.log(low, self.base) + 1e-9)
            self.high = self.base ** max(math.ceil(math.log(high, self.base) - 1e-9), math.log(self.low, self.base) + 1)
            exponents = range(round(math.log(self.low, self.base)), round(math.log(self.high, self.base)) + 1)
            every = math.ceil(len(exponents) / 6)
            self.ticks = [self.base ** exponent for exponent in exponents[::every]]
            return
        pad = (high - low) * 0.1 or (abs(high) or 100)
        self.low = 0 if low >= 0 >= low - pad else low - pad
        soft = options["custom"].get("axisSoftMax", -math.inf)
        self.high = soft if high <= soft else high + pad
        self.low, self.high = options.get("min", self.low), options.get("max", self.high)
        rough = (self.high - self.low) / 5
        size = 10 ** math.floor(math.log10(rough))
        step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough)
        step = 2 ** math.ceil(math.log2(rough)) if options["unit"] == "bytes" else max(step, 1 if options.get("decimals") == 0 else 0)
        first = math.ceil(self.low / step - 1e-9)
        self.ticks = [round(step * each, 12) for each in range(first, math.floor(self.high / step + 1e-9) + 1)]

    def place(self, value):
        if self.base:
            return math.log(value / self.low) / math.log(self.high / self.low) if value > 0 else None
        return (value - self.low) / (self.high - self.low)


def timeseries(panel, lines, width, height, faults):
    legend = panel["options"]["legend"]
    if (legend["displayMode"], legend["placement"]) != ("list", "bottom"):
        raise ValueError(f"{panel['title']}: legend")
    rows, used = 1, 0
    for line in lines:
        size = 30 + 6.3 * len(line.name)
        rows, used = (rows + 1, size) if used + size > width else (rows, used + size)
    # Grafana gives a legend at the bottom a third of the panel, and lets it scroll beyond that.
    if rows * 20 > height * 0.35:
        faults.append(f"{panel['title']}: its legend of {len(lines)} lines does not fit")
    plot_height = height - min(rows * 20, height * 0.35) - 26
    order = sorted(dict.fromkeys(line.axis for line in lines), key=lambda key: json.loads(key)[3] == "right")
    axes = {key: Axis([line for line in lines if line.axis == key]) for key in order}
    if len(order) > 2:
        raise ValueError(f"{panel['title']}: {len(order)} axes")
    left, right, top, bottom = 68, width - (68 if len(order) > 1 else 12), 6, plot_height
    parts = []
    start, end = lines[0].points[0][0], lines[0].points[-1][0]
    across = lambda when: left + (when - start) / max(end - start, 1) * (right - left)
    up = lambda part: bottom - part * (bottom - top)
    for index, key in enumerate(order):
        for tick in axes[key].ticks:
            y = up(axes[key].place(tick))
            parts.append(f'<path d="M{left},{y:.1f}H{right}" stroke="#2c2f36"/>' if index == 0 else "")
            x, anchor = (left - 6, "end") if index == 0 else (right + 6, "start")
            parts.append(f'<text x="{x}" y="{y + 4:.1f}" text-anchor="{anchor}">{axes[key].unit(tick)}</text>')
    for part in (0, 0.25, 0.5, 0.75, 1) if width > 400 else (0, 0.5, 1):
        when = time.strftime("%H:%M:%S", time.gmtime(start + part * (end - start)))
        anchor = {0: "start", 1: "end"}.get(part, "middle")
        parts.append(f'<text x="{across(start + part * (end - start)):.1f}" y="{bottom + 16}" text-anchor="{anchor}">{when}</text>')
    for line in lines:
        axis, opacity = axes[line.axis], line.options["custom"]["fillOpacity"] / 100
        for run in line.runs(axis):
            spots = [(across(when), up(axis.place(value))) for when, value in run]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
            parts.append(f'<polygon points="{spots[0][0]:.1f},{bottom} {path} {spots[-1][0]:.1f},{bottom}" fill="{line.colour}" '
                         f'opacity="{opacity}"/><polyline points="{path}" fill="none" stroke="{line.colour}"/>')
            for x, y in spots if len(spots) == 1 else []:
                parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="{line.colour}"/>')
    names = "".join(f'<span><i style="background:{line.colour}"></i>{html.escape(line.name)}</span>' for line in lines)
    return (f'<svg width="{width}" height="{plot_height + 22}">{"".join(parts)}</svg>'
            f'<div class="legend" style="max-height:{height * 0.35:.0f}px">{names}</div>')


def stat(panel, lines, width, height, _):
    tiles, options = [], panel["options"]
    rows = len(lines) if options["orientation"] == "horizontal" or width < height else 1
    across = len(lines) // rows
    for line in lines:
        if options["reduceOptions"]["calcs"] != ["lastNotNull"] or options["graphMode"] != "none":
            raise ValueError(f"{panel['title']}: options of stat")
        value = line.values[-1] if line.values else math.nan
        text, colour = line.unit(value) if line.values else "No data", None
        for step in line.options["thresholds"]["steps"]:
            if step["value"] is None or value >= step["value"]:
                colour = COLOURS[step["color"]]
        for mapping in line.options.get("mappings", []):
            found = mapping["options"].get(f"{value:g}")
            if found:
                text, colour = found["text"], COLOURS[found["color"]]
        name = line.name if options["textMode"] == "auto" and len(lines) > 1 else ""
        text = line.name if options["textMode"] == "name" else text
        # The name stands left of the value where a tile is wide, else above it.
        beside = name and width / across > 2.5 * height / rows
        room = width / across - (7 * len(name) + 16 if beside else 8)
        size = min(40, height / rows * (0.45 if name and not beside else 0.6), room / max(len(text), 1) * 1.5)
        style = f"width:{100 / across:.2f}%" + (";display:flex;justify-content:space-around;align-items:center" if beside else "")
        tiles.append(f'<div style="{style}"><small>{html.escape(name)}</small>'
                     f'<b style="color:{colour};font-size:{size:.0f}px">{html.escape(text)}</b></div>')
    return f'<div class="stat" style="height:{height}px">{"".join(tiles)}</div>'


STYLE = """body { margin: 0; background: #111217; color: #ccccdc; font: 12px Inter, "Liberation Sans", sans-serif; }
.panel { position: absolute; box-sizing: border-box; background: #181b1f; border: 1px solid #2c2f36; border-radius: 2px; overflow: hidden; }
.row { position: absolute; font-size: 15px; font-weight: bold; line-height: 30px; } h2 { font-size: 13px; margin: 7px 8px 5px; height: 17px;
white-space: nowrap; overflow: hidden; text-overflow: ellipsis; } text { fill: #9a9ba5; font-size: 11px; }
.legend { overflow: hidden; line-height: 20px; } .legend span { margin: 0 6px; white-space: nowrap; } .legend i { display: inline-block;
width: 12px; height: 4px; margin: 0 5px 3px 0; } .stat { display: flex; flex-wrap: wrap; align-items: center; text-align: center; line-height: 1.05; }
.stat small, .stat b { display: block; }"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dashboard")
    parser.add_argument("page")
    parser.add_argument("--prometheus", required=True, metavar="URL")
    parser.add_argument("--job", help="the value of $job (all)")
    parser.add_argument("--seconds", type=int, default=3600, help="the time shown, until now")
    parser.add_argument("--interval", type=int, default=15, help="the data source's scrape interval, in seconds (15, as Grafana's)")
    parser.add_argument("--without-etcd", action="store_true", help="the servers of the job store without etcd")
    options = parser.parse_args()
    with open(options.dashboard, encoding="utf-8") as file:
        dashboard = json.load(file)
    end = int(time.time())
    prometheus = Prometheus(options.prometheus, end - options.seconds, end, options.interval)
    variables = {"datasource": "prometheus"}
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            values = prometheus.label_values(fill_in(variable["query"], variables))
            variables[variable["name"]] = chosen([options.job] if variable["name"] == "job" and options.job else values)
    allowed = EMPTY_WITHOUT_ETCD if options.without_etcd else set()
    column = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * MARGIN) / COLUMNS
    parts, faults, bottom = [], [], 0
    for panel in dashboard["panels"]:
        grid, title = panel["gridPos"], html.escape(panel["title"])
        x, y = MARGIN + grid["x"] * (column + MARGIN), MARGIN + grid["y"] * (CELL + MARGIN)
        width, height = grid["w"] * (column + MARGIN) - MARGIN, grid["h"] * (CELL + MARGIN) - MARGIN
        bottom = max(bottom, y + height)
        place = f'style="left:{x:.1f}px;top:{y:.1f}px;width:{width:.1f}px;height:{height:.1f}px"'
        if panel["type"] == "row":
            parts.append(f'<div class="row" {place}>{title}</div>')
            continue
        lines = []
        for target in panel["targets"]:
            found = list(prometheus.series(target["expr"], variables, int(width)))
            fresh = [Line(panel, target, *each, len(lines) + number) for number, each in enumerate(found)]
            if not any(line.values for line in fresh) and (panel["title"], target["legendFormat"]) not in allowed:
                faults.append(f"{panel['title']}: no data for {target['legendFormat']}")
            lines += fresh
        draw = {"timeseries": timeseries, "stat": stat}[panel["type"]]
        body = draw(panel, lines, int(width) - 2, int(height) - 32, faults) if any(line.values for line in lines) else "No data"
        parts.append(f'<div class="panel" {place} title="{html.escape(panel["description"])}"><h2>{title}</h2>{body}</div>')
    with open(options.page, "w", encoding="utf-8") as file:
        file.write(f'<!doctype html><meta charset="utf-8"><title>{html.escape(dashboard["title"])}</title><style>{STYLE}</style>'
                   f'<body data-height="{bottom + MARGIN:.0f}">{"".join(parts)}')
    for fault in faults:
        print(fault, file=sys.stderr)
    sys.exit(1 if faults else 0)


main()
