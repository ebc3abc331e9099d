// By address, by prefix, by name.

import { contains, formatRange, parseRange } from "./addresses.js";
import { byID, count, make, setText } from "./elements.js";
import { holders, ownerText } from "./mapviews.js";

const SHOWN = 50;
/** Namespaces in which a name without one is looked for. */
const NAMESPACES = 100;

export class Search {
  #go;
  #searches = 0;

  constructor(go) {
    this.#go = go;
    byID("found-close").addEventListener("click", () => this.close());
  }

  close() {
    this.#searches++;
    byID("found").hidden = true;
  }

  /** `namespaces` are those that are known, the largest first. */
  async run(server, text, namespaces) {
    const search = ++this.#searches;
    const query = text.trim();
    if (!query) return this.close();
    let rows;
    try {
      rows = await this.#look(server, query, namespaces);
    } catch (error) {
      rows = [make("p", {}, error.message)];
    }
    if (search !== this.#searches) return;
    setText(byID("found-title"), `Found for ${query}`);
    byID("found-body").replaceChildren(...rows);
    byID("found").hidden = false;
    byID("found-title").focus();
  }

  async #look(server, query, namespaces) {
    const range = parseRange(query);
    if (range && range.first === range.last && !query.includes("/")) return this.#address(server, query);
    if (range) return this.#prefix(server, range);
    const slash = query.indexOf("/");
    if (slash === query.length - 1 && slash > 0) return this.#namespace(server, query.slice(0, -1));
    if (slash > 0) return this.#names(server, query.slice(slash + 1), [query.slice(0, slash)], false);
    return this.#names(server, query, [...new Set(["default", ...namespaces])].slice(0, NAMESPACES), true);
  }

  async #address(server, ip) {
    const status = await server.call("LookupIP", { ip });
    const rows = [["Address", make("code", {}, status.ip)], ["State", stateText(status.state)]];
    if (status.pool) rows.push(["Pool", this.#toPool(status.pool, status.ip)]);
    if (status.owner) rows.push(["Holder", this.#toOwner(status.owner)], ["Uid", make("code", {}, status.owner.uid)]);
    return [list(rows)];
  }

  async #prefix(server, range) {
    const { items, isWhole } = await holders(server, range, 1, 1000);
    const title = `${isWhole ? "" : "more than "}${count(items.length)} of ${formatRange(range)} ${items.length === 1 ? "is" : "are"} held`;
    const shown = items.slice(0, SHOWN);
    const rest = items.length > shown.length ? make("p", { class: "note" }, `the first ${SHOWN} of them`) : null;
    return [make("p", {}, title), rest, table(["Address", "Holder", "Pool"], shown.map((item) => [
      this.#find(item.ip, item.ip), this.#toOwner(item.owner), item.pool ? this.#toPool(item.pool, item.ip) : "none",
    ]))].filter(Boolean);
  }

  async #namespace(server, namespace) {
    const [services, pods] = await server.batch([
      ["ListServices", { namespace, limit: SHOWN }], ["ListPods", { namespace, limit: SHOWN }],
    ]);
    const pages = [services, pods].filter((page) => !(page instanceof Error));
    if (!pages.length) throw services;
    const objects = pages.flatMap((page) => page.items);
    const more = pages.some((page) => page.continue);
    const title = `${more ? `the first ${SHOWN} Services and Pods` : `${count(objects.length)} Services and Pods`} of namespace ${namespace}`;
    return [make("p", {}, title), this.#objects(objects)];
  }

  async #names(server, name, namespaces, withNode) {
    const calls = namespaces.flatMap((namespace) => [
      ["GetService", { service: { metadata: { namespace, name } } }], ["GetPod", { pod: { metadata: { namespace, name } } }],
    ]);
    if (withNode) calls.push(["GetNode", { node: { metadata: { name } } }]);
    const answers = await server.batch(calls);
    const failures = answers.filter((answer) => answer instanceof Error && answer.status !== "NOT_FOUND");
    const objects = answers.filter((answer) => !(answer instanceof Error))
      .map((answer) => answer.service ?? answer.pod ?? answer.node);
    if (objects.length) return [this.#objects(objects)];
    if (failures.length === answers.length) throw failures[0];
    const where = !withNode ? `in namespace ${namespaces[0]}` : namespaces.length === 1
      ? "in namespace default; write namespace/name for another one"
      : `in ${namespaces.length} namespaces; write namespace/name for another one`;
    return [make("p", {}, `No ${withNode ? "node, " : ""}Service or Pod has that name ${where}.`)];
  }

  #objects(objects) {
    return table(["Kind", "Name", "Addresses", "Node"], objects.map((object) => {
      const { namespace, name } = object.metadata;
      const full = object.kind === "Node" ? name : `${namespace}/${name}`;
      const addresses = addressesOf(object);
      return [
        object.kind, full,
        addresses.length ? make("span", { class: "many" }, addresses.map((text) => this.#find(text, text))) : "none",
        object.spec?.nodeName ?? "",
      ];
    }));
  }

  #find(text, query) {
    return make("button", { type: "button", class: "link", onclick: () => this.#go({ find: query }) }, text);
  }

  #toOwner(owner) {
    if (!owner) return ownerText(owner);
    return this.#find(ownerText(owner), owner.namespace ? `${owner.namespace}/${owner.name}` : owner.name);
  }

  #toPool(pool, ip) {
    return make("button", { type: "button", class: "link", onclick: () => this.#go({ pool, around: ip }) }, pool);
  }
}

function addressesOf(object) {
  const { spec = {}, status = {} } = object;
  if (object.kind === "Service") {
    return [...spec.clusterIPs ?? [], ...(status.loadBalancer?.ingress ?? []).map((ingress) => ingress.ip)].filter((ip) => ip && ip !== "None");
  }
  if (object.kind === "Node") return spec.podCIDRs ?? [];
  return (status.podIPs ?? []).map(({ ip }) => ip);
}

const stateText = (state) => ({ coolingDown: "cooling down", outOfRange: "in no range" })[state] ?? state;

function list(rows) {
  return make("dl", {}, rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

function table(titles, rows) {
  return make("div", { class: "scroll" }, make("table", {},
    make("thead", {}, make("tr", {}, titles.map((title) => make("th", { scope: "col" }, title)))),
    make("tbody", {}, rows.map((cells) => make("tr", {}, cells.map((cell) => make("td", {}, cell)))))));
}

/** The places in a map that lead to an address. */
export function insideOf(cells, ip) {
  const { family, first } = parseRange(ip);
  const cell = cells.find(({ span, size }) => span && size > 1n && contains(span, { family, first, last: first }));
  return cell ? cell.enter.inside : [];
}
