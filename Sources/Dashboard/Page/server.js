// The calls to the servers, all of them by way of the program that serves this page.

export class Refused extends Error {
  constructor(error) {
    super(error.message);
    this.status = error.data?.status ?? "INTERNAL";
  }
}

async function json(response) {
  const text = await response.text();
  let value;
  try { value = JSON.parse(text); } catch { throw new Refused({ message: text.trim() || response.statusText }); }
  if (!response.ok) throw new Refused(value.error ?? { message: response.statusText });
  return value;
}

async function get(path) {
  let response;
  try { response = await fetch(path, { cache: "no-store" }); } catch {
    throw new Refused({ message: "tandemctl dashboard has ended", data: { status: "ENDED" } });
  }
  return json(response);
}

export const servers = () => get("servers");

export class Server {
  constructor(number, name) {
    this.number = number;
    this.name = name;
  }

  async call(method, params = {}) {
    const [answer] = await this.batch([[method, params]]);
    if (answer instanceof Error) throw answer;
    return answer;
  }

  /** The answers in the order of the calls, of which there may be any number; errors among them. */
  async batch(calls) {
    const answers = [];
    for (let start = 0; start < calls.length; start += 256) {
      const part = calls.slice(start, start + 256);
      const body = JSON.stringify(part.map(([method, params], id) => ({ jsonrpc: "2.0", id, method, params })));
      let response;
      try {
        response = await fetch(`servers/${this.number}/rpc`, {
          method: "POST", body, headers: { "content-type": "application/json" }, cache: "no-store",
        });
      } catch {
        throw new Refused({ message: "tandemctl dashboard has ended", data: { status: "ENDED" } });
      }
      for (const answer of await json(response)) {
        answers.push(answer.error ? new Refused(answer.error) : answer.result);
      }
    }
    return answers;
  }

  health() { return get(`servers/${this.number}/health`); }
  async metrics() { return (await get(`servers/${this.number}/metrics`)).text; }
  peers() { return get(`servers/${this.number}/peers`); }

  /** Calls `told` with each message; close() ends it. The browser connects again by itself. */
  changes(told, lost) {
    const source = new EventSource(`servers/${this.number}/changes`);
    source.onmessage = (event) => told(JSON.parse(event.data));
    source.onerror = lost;
    return source;
  }
}
