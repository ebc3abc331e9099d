"""The dashboard in a headless Chromium, over real servers: values, clicks, keys, live updates, and its protection.

dashboard_test.py BIN [-v] [TEST…], where BIN has tandemd and tandemctl. TANDEM_SCREENSHOTS names a folder for pictures.
"""
import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

import chromium

BIN = sys.argv.pop(1) if len(sys.argv) > 1 else ""
ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
RANGES = ["--service-cluster-ip-range=10.96.0.0/20,fd00:10:96::/112", "--cluster-cidr=10.244.0.0/16,fd00:10:244::/56",
          "--load-balancer-ip-range=192.0.2.16-192.0.2.60", "--service-node-port-range=30000-30999"]


class Server:
    """A tandemd on a free port."""

    def __init__(self, certificates, data, port=0):
        self.certificates = certificates
        self.data = data
        self.process = subprocess.Popen(
            [f"{BIN}/tandemd", *RANGES, f"--data-dir={data}", f"--secure-port={port}", "--log-format=json",
             "--pod-ip-reuse-delay=300", f"--tls-cert-file={certificates}/server.crt",
             f"--tls-private-key-file={certificates}/server.key", f"--client-ca-file={certificates}/ca.crt"],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        log = []
        for line in self.process.stderr:
            log.append(line)
            entry = json.loads(line)
            if entry.get("message") == "ready":
                self.port = int(entry["address"].rsplit(":", 1)[1])
                break
        else:
            raise AssertionError("".join(log))
        self.reader = threading.Thread(target=lambda: [None for _ in self.process.stderr], daemon=True)
        self.reader.start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.reader.join()
        self.process.stderr.close()

    def ctl(self, *words, input=None):
        result = subprocess.run([f"{BIN}/tandemctl", *words, "--server", self.address, *options(self.certificates)],
                                input=input, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def apply(self, *objects):
        self.ctl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def pools(self):
        return json.loads(self.ctl("get", "pools", "-o", "json"))["items"]


def options(certificates):
    return ["--ca-file", f"{certificates}/ca.crt", "--cert-file", f"{certificates}/admin.crt", "--key-file",
            f"{certificates}/admin.key"]


def node(name):
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}


def pod(name, on, namespace="default"):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": namespace, "name": name},
            "spec": {"nodeName": on}}


def service(name, namespace="default", **spec):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": namespace, "name": name},
            "spec": {"ipFamilyPolicy": "PreferDualStack", "ports": [{"port": 80}], **spec}}


class Dashboard:
    def __init__(self, certificates, servers):
        self.process = subprocess.Popen(
            [f"{BIN}/tandemctl", "dashboard", "--no-open", "--server", ",".join(server.address for server in servers),
             *options(certificates)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()

    def stop(self, by=signal.SIGTERM):
        self.process.send_signal(by)
        self.process.stdout.close()
        return self.process.wait()


def rows(body):
    """The texts of a table's cells."""
    return f"[...document.querySelectorAll('#{body} tr')].map((row) => [...row.children].map((cell) => cell.innerText.trim()))"


def button(text, inside="body"):
    return f"[...document.querySelectorAll('{inside} button')].find((one) => one.textContent === {json.dumps(text)})"


CRUMBS = "[...document.querySelectorAll('#map-crumbs li')].map((item) => item.innerText.replace(/^›\\s*/, ''))"


def crumbs(*texts):
    return f"JSON.stringify({CRUMBS}) === {json.dumps(json.dumps(list(texts), separators=(',', ':')))}"


class DashboardTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="tandem-dashboard-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.certificates = f"{cls.folder}/certificates"
        subprocess.run(["bash", f"{ROOT}/certs/generate.sh", cls.certificates], check=True, stdout=subprocess.DEVNULL)
        cls.first = Server(cls.certificates, f"{cls.folder}/first")
        cls.addClassCleanup(lambda: cls.first.stop())
        cls.second = Server(cls.certificates, f"{cls.folder}/second")
        cls.addClassCleanup(lambda: cls.second.stop())
        cls.first.apply(*(node(f"n{number}") for number in range(1, 21)),
                        *(service(f"s{number}", "shop") for number in range(30)),
                        *(pod(f"p{number}", "n7", "shop") for number in range(120)),
                        *(pod(f"q{number}", "n2", "batch") for number in range(5)),
                        service("edge", "web", type="LoadBalancer"),
                        pod("gone", "n3"))
        cls.first.ctl("delete", "pod", "gone")
        cls.second.apply(service("other"))
        cls.dashboard = Dashboard(cls.certificates, [cls.first, cls.second])
        cls.addClassCleanup(lambda: cls.dashboard.process.poll() is None and cls.dashboard.stop())
        cls.browser = chromium.Chromium()
        cls.addClassCleanup(cls.browser.close)

    def open(self, address=None, **emulation):
        page = self.browser.page(address or self.dashboard.address, **emulation)
        self.addCleanup(page.close)
        page.wait("document.querySelectorAll('#ranges-body tr').length >= 6")
        page.wait("document.querySelectorAll('#map-grid [data-index]').length > 1")
        return page

    def picture(self, page, name):
        folder = os.environ.get("TANDEM_SCREENSHOTS")
        if folder:
            page.screenshot(f"{folder}/{name}.png")

    def show(self, page, pool):
        """The map of a range, by a click."""
        page.click(button(pool, "#ranges-body"))
        page.wait(f"{CRUMBS}.length === 1 && {CRUMBS}[0].endsWith({json.dumps(pool)})")

    def cell(self, label):
        return f"document.querySelector('#map-grid [aria-label^={json.dumps(label + ':')}]')"

    # Values

    def test_ranges_show_what_tandemctl_shows(self):
        page = self.open()
        page.wait(f"{rows('ranges-body')}.length === 8")
        shown = {tuple(row[0].split("\n")): row for row in page.run(rows("ranges-body"))}
        titles = {"Service": "Services", "LoadBalancer": "Load balancers", "NodeCIDR": "Nodes", "NodePort": "Node ports"}
        pools = self.first.pools()
        for pool in pools:
            if pool["kind"] not in titles:
                continue
            row = next(row for key, row in shown.items()
                       if "".join(key).replace(" ", "") == (titles[pool["kind"]] + (pool.get("cidr") or pool["ports"])).replace(" ", ""))
            self.assertEqual(row[2:6], [f"{pool['percent']:.1f}", f"{int(pool['allocated']):,}",
                                        f"{int(pool['available']):,}", pool["coolingDown"]], pool["name"])
        pods = next(row for key, row in shown.items() if key[0].startswith("Pods") and "10.244" in "".join(key))
        self.assertEqual(pods[3], "125")
        self.assertEqual({row[7] for row in shown.values()}, {"not enough samples"})

    def test_time_to_full(self):
        page = self.open()
        estimate = """import("./rates.js").then(({ Rates }) => {
            const rates = new Rates();
            for (const [time, allocated] of %s) rates.add("a", time, BigInt(allocated));
            return rates.estimate("a", %sn);
        })"""
        steady = [[second, 100 + second] for second in range(0, 601, 3)]
        self.assertEqual(page.run(estimate % (steady, 1000)), {"state": "filling", "perHour": 3600, "seconds": 300})
        # However often it is looked at.
        often = [[tenth / 10, 100 + tenth] for tenth in range(0, 6001)]
        self.assertAlmostEqual(page.run(estimate % (often, 10_000))["perHour"], 36_000, places=3)
        self.assertEqual(page.run(estimate % (steady[:20], 1000))["state"], "few")
        self.assertEqual(page.run(estimate % ([[0, 1], [3600, 2]], 1000))["state"], "few")
        self.assertEqual(page.run(estimate % (steady, 700))["state"], "full")
        self.assertEqual(page.run(estimate % ([[second, 5] for second, _ in steady], 9))["state"], "steady")
        falling = page.run(estimate % ([[second, 900 - second] for second, _ in steady], 1000))
        self.assertEqual((falling["state"], round(falling["perHour"])), ("falling", -3600))
        # A range that is larger than a double's integers.
        huge = [[second, 2 ** 100 + second * 2 ** 90] for second, _ in steady]
        self.assertAlmostEqual(page.run(estimate % (huge, 2 ** 101))["seconds"] / (2 ** 10 - 600), 1, places=6)

    def test_addresses_are_written_as_the_server_writes_them(self):
        page = self.open()
        texts = ["0.0.0.0", "255.255.255.255", "::", "::1", "fd00:10:96::8ebe", "1:0:0:2::3", "1:2:3:4:5:6:7:8", "1:0:2::3",
                 "2001:db8::", "::ffff:c000:201"]
        again = page.run("""import("./addresses.js").then(({ parseAddress, formatAddress }) => %s.map((text) => {
            const { family, bits } = parseAddress(text); return formatAddress(family, bits); }))""" % json.dumps(texts))
        self.assertEqual(again, texts)
        none = ["", "1.2.3", "1.2.3.256", "01.2.3.4", "1.2.3.4.5", "::1::", ":::", "1:2:3:4:5:6:7", "g::", "12345::", "1:2:3:4:5:6:7:8:9",
                "::1.2.3.4.5", "1::2:3:4:5:6:7:8"]
        self.assertEqual(page.run("""import("./addresses.js").then(({ parseAddress }) => %s.map(parseAddress).filter(Boolean).length)""" % json.dumps(none)), 0)
        covering = page.run("""import("./addresses.js").then(({ parseRange, coveringCIDR, formatRange }) =>
            ["192.0.2.16-192.0.2.60", "10.0.0.7/24", "fd00::/64", "::-::1"].map((text) => [coveringCIDR(parseRange(text)), formatRange(parseRange(text))]))""")
        self.assertEqual(covering, [["192.0.2.0/26", "192.0.2.16-192.0.2.60"], ["10.0.0.0/24", "10.0.0.0/24"],
                                    ["fd00::/64", "fd00::/64"], ["::/127", "::/127"]])

    def test_nodes_by_use(self):
        page = self.open()
        page.wait(f"{rows('nodes-body')}.length === 15")
        shown = page.run(rows("nodes-body"))
        self.assertEqual(shown[0], ["n7", "", "47.4", "120 / 253", "", "0.0", "120 / 2⁶⁴"])
        self.assertEqual(shown[1][:4], ["n2", "", "1.9", "5 / 253"])
        self.assertEqual(page.run("document.querySelector('#nodes-note').innerText"), "15 of 20 nodes")
        page.click("document.querySelector('#nodes-filter')")
        page.type("n1")
        page.wait("document.querySelector('#nodes-note').innerText === '11 with “n1” of 20 nodes'")

    def test_namespaces_by_use(self):
        page = self.open()
        page.wait(f"{rows('namespaces-body')}.length >= 3")
        shown = [row for row in page.run(rows("namespaces-body")) if row[0] != "default"]
        self.assertEqual(shown[:3], [["shop", "", "120", "30"], ["batch", "", "5", "0"], ["web", "", "0", "1"]])
        page.click(button("batch", "#namespaces-body"))
        page.wait("document.querySelectorAll('#found tbody tr').length === 5")

    # The map

    def test_map_leads_by_clicks_down_to_who_has_an_address(self):
        page = self.open()
        address = json.loads(self.first.ctl("get", "service", "edge", "-n", "web", "-o", "json"))["spec"]["clusterIP"]
        self.show(page, "10.96.0.0/20")
        block = page.run(f"""import("./addresses.js").then(({{ parseRange, contains }}) => [...document.querySelectorAll('#map-grid [data-index]')]
            .map((cell) => cell.getAttribute("aria-label").split(": ")[0]).find((label) => contains(parseRange(label), parseRange("{address}"))))""")
        self.assertEqual(page.run("document.querySelectorAll('#map-grid [data-index]').length"), 256)
        page.click(self.cell(block))
        page.wait(crumbs("Services 10.96.0.0/20", block))
        self.assertEqual(page.run("document.querySelectorAll('#map-grid [data-index]').length"), 16)
        page.run(f"{self.cell(address)}.dispatchEvent(new MouseEvent('mouseover', {{ bubbles: true }}))")
        page.wait(f"document.querySelector('#map-cell').innerText === '{address} · Service web/edge'")
        page.click(self.cell(address))
        page.wait("document.querySelector('#found').innerText.includes('Service web/edge')")
        page.click(button("Services 10.96.0.0/20", "#map-crumbs"))
        page.wait(crumbs("Services 10.96.0.0/20"))
        total = page.run("document.querySelector('#map-total').innerText")
        self.assertRegex(total, r"^3\d allocated, 0 cooling down, 2 reserved, 4,0\d\d free$")

    def test_map_by_keys(self):
        page = self.open()
        self.show(page, "10.96.0.0/20")
        page.press("3")
        page.press("Home")
        page.wait("document.activeElement.dataset.index === '0'")
        for key, index in [("ArrowRight", 1), ("ArrowDown", 17), ("ArrowLeft", 16), ("ArrowUp", 0), ("ArrowUp", 0), ("ArrowLeft", 0),
                           ("End", 255), ("ArrowDown", 255)]:
            page.press(key)
            self.assertEqual(page.run("document.activeElement.dataset.index"), str(index), key)
        page.press("Home")
        page.press("Enter")
        page.wait(crumbs("Services 10.96.0.0/20", "10.96.0.0/28"))
        page.wait(f"{self.cell('10.96.0.0')}.dataset.use === 'reserved'")
        page.wait("document.activeElement.dataset.index !== undefined")
        page.press("Backspace")
        page.wait(crumbs("Services 10.96.0.0/20"))
        # The browser's own way back as well, and a reload stays where it is.
        page.run("history.back()")
        page.wait(crumbs("Services 10.96.0.0/20", "10.96.0.0/28"))
        page.run("location.reload()")
        page.wait(f"document.readyState === 'complete' && {crumbs('Services 10.96.0.0/20', '10.96.0.0/28')}")

    def test_map_of_nodes_leads_to_a_nodes_pods(self):
        page = self.open()
        self.show(page, "10.244.0.0/16")
        cidr = json.loads(self.first.ctl("get", "node", "n7", "-o", "json"))["spec"]["podCIDR"]
        page.wait(f"{self.cell(cidr)}?.getAttribute('aria-label').includes('node n7, 120 of 253')")
        page.click(self.cell(cidr))
        page.wait(crumbs(f"Pods of n7 {cidr}"))
        self.assertEqual(page.run("document.querySelector('#map-total').innerText"),
                         "120 allocated, 0 cooling down, 3 reserved, 133 free")
        self.assertEqual(page.run("document.querySelectorAll('#map-grid [data-use=\"5\"]').length"), 120)
        self.assertEqual(page.run("document.querySelectorAll('#map-grid [data-use=\"reserved\"]').length"), 3)

    def test_map_shows_what_cools_down(self):
        page = self.open()
        cidr = json.loads(self.first.ctl("get", "node", "n3", "-o", "json"))["spec"]["podCIDR"]
        page.wait(f"{rows('nodes-body')}.length === 15")
        page.click("document.querySelector('#nodes-filter')")
        page.type("n3")
        page.click(button("n3", "#nodes-body"))
        page.wait(crumbs(f"Pods of n3 {cidr}"))
        page.wait("document.querySelectorAll('#map-grid [data-use=\"cooling\"]').length === 1")

    def test_map_of_a_huge_pool_goes_straight_to_what_is_held(self):
        page = self.open()
        cidrs = json.loads(self.first.ctl("get", "node", "n7", "-o", "json"))["spec"]["podCIDRs"]
        page.go(f"{self.dashboard.address}#server=0&pool=pods-n7-ipv6")
        page.run("location.reload()")
        page.wait(f"document.readyState === 'complete' && {crumbs(f'Pods of n7 {cidrs[1]}')}")
        page.click("document.querySelector('#map-grid [data-use=\"1\"]')")
        page.wait(f"{CRUMBS}.length === 3 && document.querySelectorAll('#map-grid [data-use=\"5\"]').length === 120")
        page.run("document.querySelector('#map-grid [data-use=\"5\"]').focus()")
        page.wait("/· Pod shop\\/p\\d+$/.test(document.querySelector('#map-cell').innerText)")

    def test_map_of_node_ports(self):
        page = self.open()
        self.show(page, "30000-30999")
        page.wait("document.querySelectorAll('#map-grid [data-index]').length === 1000")
        self.assertEqual(page.run("document.querySelectorAll('#map-grid [data-use=\"5\"]').length"), 1)

    # Search

    def find(self, page, text):
        page.press("Escape")
        page.press("/")
        page.run("document.activeElement.select()")
        page.type(text)
        page.press("Enter")
        page.wait(f"!document.querySelector('#found').hidden && document.querySelector('#found-title').innerText === {json.dumps('Found for ' + text)}")
        return page.run("document.querySelector('#found-body').innerText")

    def test_search(self):
        page = self.open()
        page.wait(f"{rows('namespaces-body')}.length >= 3")
        edge = json.loads(self.first.ctl("get", "service", "edge", "-n", "web", "-o", "json"))
        address = edge["spec"]["clusterIPs"][1]
        self.assertRegex(self.find(page, address), r"allocated[\s\S]*services-ipv6[\s\S]*Service web/edge")
        self.assertIn("192.0.2.", self.find(page, "web/edge"))
        # Also where the namespace is not said.
        self.assertIn(address, self.find(page, "edge"))
        self.assertIn("10.244.", self.find(page, "n7"))
        self.assertIn("in no range", self.find(page, "203.0.113.9"))
        self.assertIn("No Service or Pod has that name in namespace web", self.find(page, "web/nothing"))
        cidr = json.loads(self.first.ctl("get", "node", "n7", "-o", "json"))["spec"]["podCIDR"]
        self.assertIn(f"120 of {cidr} are held", self.find(page, cidr))
        self.assertEqual(page.run("document.querySelectorAll('#found tbody tr').length"), 50)
        # From the search result into the map.
        self.find(page, address)
        page.click(button("services-ipv6", "#found"))
        page.wait(f"{CRUMBS}[0] === 'Services fd00:10:96::/112' && {CRUMBS}.length > 1 && {self.cell(address)}")
        page.press("Escape")
        page.wait("document.querySelector('#found').hidden")

    def test_what_tenants_wrote_is_text(self):
        page = self.open()
        page.run("""import("./search.js").then(async ({ Search }) => {
            const name = "<img src=x onerror='window.isTaken=true'>";
            const server = { batch: async (calls) => calls.map(() => ({ items: [{ kind: "Pod", metadata: { namespace: name, name },
                spec: { nodeName: name }, status: { podIPs: [{ ip: name }] } }] })) };
            await new Search(() => {}).run(server, "x/", []);
        })""")
        self.assertEqual(page.run("document.querySelectorAll('#found img').length"), 0)
        self.assertEqual(page.run("document.querySelector('#found-body').innerText.split('<img src=x').length"), 9)

    # Live

    def test_changes_show_without_a_reload(self):
        page = self.open()
        page.wait("document.querySelector('#changes-state').innerText === 'watching'")
        # Those of before come first.
        page.wait("document.querySelector('#changes-list li time')?.innerText === 'before'")
        allocated = "Number(document.querySelector('#ranges-body tr').children[3].innerText)"
        before = page.run(allocated)
        self.show(page, "10.96.0.0/20")
        page.run("window.wasLoadedOnce = true")
        self.first.apply(service("fresh", "live"))
        page.wait("document.querySelector('#changes-list li').innerText.includes('live/fresh')")
        row = page.run("(() => { const row = document.querySelector('#changes-list li'); return [row.dataset.type, row.innerText]; })()")
        self.assertEqual(row[0], "added")
        self.assertRegex(row[1], r"\d\d:\d\d:\d\d[\s\S]*10\.96\.")
        page.wait(f"{allocated} === {before + 1}")
        page.wait(f"document.querySelector('#map-total').innerText.startsWith('{before + 1} allocated')")
        self.first.ctl("delete", "service", "fresh", "-n", "live")
        page.wait("document.querySelector('#changes-list li').dataset.type === 'deleted'")
        page.wait(f"{allocated} === {before}")
        self.assertTrue(page.run("window.wasLoadedOnce"))

    # Servers

    def test_several_servers_and_one_that_is_lost(self):
        third = Server(self.certificates, f"{self.folder}/third")
        self.addCleanup(lambda: third.process.poll() is None and third.stop())
        dashboard = Dashboard(self.certificates, [self.first, third])
        self.addCleanup(lambda: dashboard.process.poll() is None and dashboard.stop())
        third.apply(service("only-here"))
        page = self.open(dashboard.address)
        tabs = "[...document.querySelectorAll('#servers button')].map((tab) => [tab.innerText.trim(), tab.getAttribute('aria-selected'), tab.dataset.level])"
        page.wait(f"{tabs}.every((tab) => tab[2] === 'good')")
        self.assertEqual(page.run(tabs), [[self.first.address, "true", "good"], [third.address, "false", "good"]])
        page.press("]")
        page.wait("document.querySelector('#ranges-body tr').children[3].innerText === '1'")
        self.assertEqual(page.run(tabs)[1][1], "true")
        page.wait("document.querySelector('#health-body').innerText.includes('serving')")
        port = third.port
        third.stop()
        page.wait("document.querySelector('#health-body').innerText.includes('not reached')")
        page.wait("document.querySelector('#trouble').innerText.includes('Connection refused')")
        self.picture(page, "lost")
        page.press("[")
        page.wait("document.querySelector('#trouble').hidden && document.querySelector('#ranges-body tr').children[3].innerText !== '1'")
        page.press("]")
        third = Server(self.certificates, f"{self.folder}/third", port)
        self.addCleanup(third.stop)
        page.wait("document.querySelector('#trouble').hidden && document.querySelector('#ranges-body tr').children[3].innerText === '1'")
        page.wait("document.querySelector('#changes-state').innerText === 'watching'")

    def test_ends_with_status_0_and_the_page_says_so(self):
        for by in [signal.SIGINT, signal.SIGTERM]:
            dashboard = Dashboard(self.certificates, [self.first])
            page = self.open(dashboard.address)
            self.assertEqual(dashboard.stop(by), 0)
            page.wait("document.querySelector('#trouble').innerText.includes('tandemctl dashboard has ended')")

    # Looks

    def test_light_and_dark(self):
        brightness = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0)"
        dark = self.open(dark=True)
        self.assertLess(dark.run(brightness), 120)
        self.picture(dark, "dark")
        light = self.open()
        self.assertGreater(light.run(brightness), 650)
        self.picture(light, "light")
        light.click("document.querySelector('#theme')")
        light.click("document.querySelector('#theme')")
        self.assertLess(light.run(brightness), 120)
        light.click("document.querySelector('#theme')")
        narrow = self.open(width=390, height=800)
        self.assertLessEqual(narrow.run("document.documentElement.scrollWidth"), 390)
        self.picture(narrow, "narrow")

    def test_keys(self):
        page = self.open()
        page.press("?")
        page.wait("document.querySelector('#help').open")
        page.press("Escape")
        page.wait("!document.querySelector('#help').open")
        for number, section in enumerate(["ranges", "health", "map", "changes", "nodes", "namespaces"], 1):
            page.press(str(number))
            self.assertTrue(page.run(f"document.querySelector('#{section}').contains(document.activeElement)"), section)
        page.press("/")
        self.assertEqual(page.run("document.activeElement.id"), "query")
        # Input there is text.
        page.press("3")
        self.assertEqual(page.run("document.activeElement.id"), "query")

    # Protection

    def test_asks_nobody_else_and_lists_no_pods(self):
        page = self.open()
        page.wait(f"{rows('nodes-body')}.length === 15")
        page.wait(f"{rows('namespaces-body')}.length >= 3")
        self.show(page, "10.244.0.0/16")
        page.click("document.querySelector('#map-grid [data-use=\"1\"]')")
        page.wait(f"{CRUMBS}[0].startsWith('Pods of n')")
        requests = [event["request"] for event in page.took("Network.requestWillBeSent")]
        addresses = {request["url"] for request in requests}
        self.assertEqual([address for address in addresses if not address.startswith((self.dashboard.address, "data:,", "about:"))], [])
        methods = {call["method"] for request in requests if "postData" in request for call in json.loads(request["postData"])}
        self.assertEqual(methods, {"GetPools", "GetPoolMap"})
        for event in ["Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"]:
            self.assertEqual(page.took(event), [], event)

    def test_other_sites_get_nothing(self):
        class Quiet(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("content-type", "text/html")
                self.end_headers()
                self.wfile.write(b"<title>other</title>")

            def log_message(self, *_):
                pass

        other = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
        self.addCleanup(other.server_close)
        self.addCleanup(other.shutdown)
        threading.Thread(target=other.serve_forever, daemon=True).start()
        page = self.browser.page(f"http://127.0.0.1:{other.server_address[1]}/")
        self.addCleanup(page.close)
        page.wait("document.title === 'other'")
        # With the right token, which no page there has.
        address = self.dashboard.address
        self.assertEqual(page.run(f"fetch('{address}servers').then(() => 'taken', () => 'refused')"), "refused")
        self.assertEqual(page.run(f"""new Promise((done) => {{
            const script = document.createElement("script");
            [script.onload, script.onerror] = [() => done("taken"), () => done("refused")];
            script.src = "{address}addresses.js";
            document.head.append(script);
        }})"""), "refused")
        page.run(f"""new Promise((done) => {{
            const frame = document.createElement("iframe");
            frame.onload = () => done();
            frame.src = "{address}";
            document.documentElement.append(frame);
        }})""")
        blocked = [entry["entry"]["text"] for entry in page.took("Log.entryAdded")]
        self.assertTrue(any("403" in text or "frame" in text for text in blocked), blocked)


if __name__ == "__main__":
    unittest.main(verbosity=1)
