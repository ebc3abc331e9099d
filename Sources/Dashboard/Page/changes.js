// The latest changes.

import { byID, count, make, setText } from "./elements.js";

const SHOWN = 100;
const SIGNS = { added: "+", changed: "~", deleted: "−" };
const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export class Changes {
  #source = null;
  #skipped = 0;
  #state = "";
  #go;
  #changed;

  /** `changed` is called when something has changed. */
  constructor(go, changed) {
    this.#go = go;
    this.#changed = changed;
  }

  follow(server) {
    this.#source?.close();
    byID("changes-list").replaceChildren();
    [this.#skipped, this.#state] = [0, "connecting"];
    this.#tell();
    this.#source = server.changes((message) => this.#take(message), () => {
      this.#state = "not connected";
      this.#tell();
    });
    // A new connection begins with the last changes again.
    this.#source.onopen = () => byID("changes-list").replaceChildren();
  }

  #take({ changes, skipped = 0, watch }) {
    if (watch?.state === "watching") this.#state = "watching";
    else if (watch?.state === "gap") this.#state = "some changes were missed";
    else if (watch) this.#state = `not watching: ${watch.error?.message ?? ""}`;
    this.#skipped += skipped;
    const list = byID("changes-list");
    const now = TIME.format(new Date());
    // When those of before this page was there were made is not known.
    list.prepend(...changes.reverse().map((change) => this.#row(change, change.isOld ? "before" : now)));
    while (list.children.length > SHOWN) list.lastElementChild.remove();
    this.#tell();
    if (changes.some((change) => !change.isOld)) this.#changed();
  }

  #tell() {
    const skipped = this.#skipped ? `; ${count(this.#skipped)} more than are shown` : "";
    setText(byID("changes-state"), `${this.#state}${skipped}`);
  }

  #row(change, time) {
    const name = change.kind === "Node" ? change.name : `${change.namespace}/${change.name}`;
    return make("li", { "data-type": change.type, "data-version": change.version },
      make("time", {}, time),
      make("b", { title: change.type, "aria-label": change.type }, SIGNS[change.type]),
      make("span", {}, make("span", { class: "kind" }, change.kind),
        make("button", { type: "button", class: "link", onclick: () => this.#go({ find: name }) }, name)),
      make("code", {}, change.addresses.join("  ")));
  }
}
