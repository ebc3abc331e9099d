"""A headless Chromium, driven by the DevTools protocol over a pipe: messages are JSON with a NUL behind each."""
import base64
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time


def program():
    """Chromium, or None where there is none."""
    return next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)


class Failed(Exception):
    pass


class Chromium:
    def __init__(self, width=1440, height=1000):
        self.profile = tempfile.mkdtemp(prefix="tandem-chromium-")
        out_read, out_write = os.pipe()
        in_read, in_write = os.pipe()

        def arrange():
            # Chromium reads from 3 and writes to 4. Files at these numbers are moved out of the way first.
            low = os.dup2(in_read, 100), os.dup2(out_write, 101)
            os.dup2(low[0], 3)
            os.dup2(low[1], 4)

        self.process = subprocess.Popen(
            [program(), "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--disable-dev-shm-usage", "--disable-extensions", "--disable-background-networking", "--hide-scrollbars",
             "--disable-component-update", "--no-default-browser-check", "--mute-audio", "--lang=en",
             f"--window-size={width},{height}", f"--user-data-dir={self.profile}", "about:blank"],
            preexec_fn=arrange, close_fds=False, start_new_session=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(in_read)
        os.close(out_write)
        self.input, self.output = in_write, out_read
        self.buffer = b""
        self.last = 0
        self.events = []

    def close(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        os.close(self.input)
        os.close(self.output)
        shutil.rmtree(self.profile, ignore_errors=True)

    def _receive(self, deadline):
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.output], [], [], max(0, deadline - time.monotonic()))
            part = os.read(self.output, 1 << 20) if ready else b""
            if not part:
                raise Failed("Chromium does not answer")
            self.buffer += part
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, params=None, session=None, seconds=60):
        self.last += 1
        message = {"id": self.last, "method": method, "params": params or {}}
        if session:
            message["sessionId"] = session
        os.write(self.input, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + seconds
        while True:
            answer = self._receive(deadline)
            if answer.get("id") == self.last:
                if "error" in answer:
                    raise Failed(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.events.append(answer)

    def page(self, address="about:blank", **emulation):
        return Page(self, address, **emulation)


class Page:
    """A tab of its own."""

    def __init__(self, browser, address, dark=False, width=1440, height=1000, scale=1):
        self.browser = browser
        target = browser.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        self.target = target
        self.session = browser.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        for domain in ["Page", "Runtime", "Network", "Log"]:
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride",
                  {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False})
        self.call("Emulation.setEmulatedMedia",
                  {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})
        if address != "about:blank":
            self.go(address)

    def call(self, method, params=None):
        return self.browser.call(method, params, self.session)

    def go(self, address):
        answer = self.call("Page.navigate", {"url": address})
        if "errorText" in answer:
            raise Failed(answer["errorText"])

    def close(self):
        self.browser.call("Target.closeTarget", {"targetId": self.target})

    def run(self, expression):
        """The value of an expression of JavaScript, of a promise its result."""
        answer = self.call("Runtime.evaluate",
                           {"expression": expression, "awaitPromise": True, "returnByValue": True, "userGesture": True})
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise Failed(details.get("exception", {}).get("description") or details["text"])
        return answer["result"].get("value")

    def wait(self, expression, seconds=30):
        """Until an expression is true: looked at by the page itself, at each change of it and ten times a second."""
        found = self.run("""new Promise((done) => {
            const value = () => { try { return (%s); } catch { return false; } };
            const end = (result) => { observer.disconnect(); clearInterval(timer); clearTimeout(limit); done(result); };
            const look = () => { const found = value(); if (found) end(found instanceof Node || found); };
            const observer = new MutationObserver(look);
            observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
            const timer = setInterval(look, 100);
            const limit = setTimeout(() => end(null), %d);
            look();
        })""" % (expression, seconds * 1000))
        if not found:
            text = self.run("document.body ? document.body.innerText.slice(0, 3000) : ''")
            raise Failed(f"it did not come: {expression}\n--- the page:\n{text}")
        return found

    KEYS = {"Enter": ("\r", 13), "Escape": ("", 27), "Backspace": ("", 8), "Tab": ("", 9), "ArrowLeft": ("", 37),
            "ArrowUp": ("", 38), "ArrowRight": ("", 39), "ArrowDown": ("", 40), "Home": ("", 36), "End": ("", 35)}

    def press(self, key):
        text, code = self.KEYS.get(key, (key, ord(key.upper()) if len(key) == 1 else 0))
        common = {"key": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", {"type": "keyDown", "text": text, **common} if text
                  else {"type": "rawKeyDown", **common})
        self.call("Input.dispatchKeyEvent", {"type": "keyUp", **common})

    def type(self, text):
        self.call("Input.insertText", {"text": text})

    def click(self, expression):
        """A real click, by the mouse, into the middle of an element, once it no longer moves. Tables above it may grow between the
        look at its place and the click: a click that went elsewhere is made again, five times at most."""
        for _ in range(5):
            place = self.wait("""(() => { const element = %s; if (!element) return null; element.scrollIntoView({ block: "center" });
                const box = element.getBoundingClientRect(), before = window.boxBefore;
                window.boxBefore = box;
                if (!box.width || !before || box.x !== before.x || box.y !== before.y) return null;
                window.clicked = null;
                document.addEventListener("click", (event) => { window.clicked = { isThere: element.contains(event.target) }; },
                                          { capture: true, once: true });
                return { x: box.x + box.width / 2, y: box.y + box.height / 2 }; })()""" % expression)
            for kind in ["mouseMoved", "mousePressed", "mouseReleased"]:
                self.call("Input.dispatchMouseEvent",
                          {"type": kind, "button": "none" if kind == "mouseMoved" else "left", "clickCount": 1, **place})
            # A page that the click has left knows nothing of it.
            if self.run("!window.boxBefore || Boolean(window.clicked?.isThere)"):
                return
        raise Failed(f"five clicks went elsewhere than to {expression}")

    def screenshot(self, file, whole=False):
        params = {"format": "png", "captureBeyondViewport": whole}
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            params["clip"] = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        with open(file, "wb") as output:
            output.write(base64.b64decode(self.call("Page.captureScreenshot", params)["data"]))

    def took(self, method):
        """Events of this tab that have come by now."""
        self.run("0")
        return [event["params"] for event in self.browser.events
                if event["method"] == method and event.get("sessionId") == self.session]
