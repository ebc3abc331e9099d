// Elements, made of text alone: tenants' texts are never read as HTML.

export const byID = (id) => document.getElementById(id);

/** An element with properties (`on…` for listeners, `class`, `aria-…`, `data-…`) and children, of which null and false are none. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Changes a text only where it differs, so that a selection stays, and a screen reader reads nothing twice. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/** Rows by their keys: those that are there are kept, so that the focus stays where it is. */
export function keepRows(body, items, key, create, update) {
  const rows = new Map([...body.children].map((row) => [row.dataset.key, row]));
  let place = body.firstElementChild;
  for (const item of items) {
    const name = key(item);
    let row = rows.get(name);
    if (!row) {
      row = create(item);
      row.dataset.key = name;
    }
    rows.delete(name);
    update(row, item);
    if (row === place) place = place.nextElementSibling;
    else body.insertBefore(row, place);
  }
  for (const row of rows.values()) row.remove();
}

/** A bar of allocated, cooling and free. */
export function makeBar() {
  return make("div", { class: "bar", role: "img" }, make("i", { class: "allocated" }), make("i", { class: "cooling" }));
}

export function updateBar(bar, allocated, cooling, capacity) {
  const share = (part) => capacity > 0n ? Number(part * 10_000n / capacity) / 100 : 0;
  // Any use shows, however little it is.
  const width = (part) => part > 0n ? Math.max(0.6, Math.min(100, share(part))) : 0;
  bar.children[0].style.width = `${width(allocated)}%`;
  bar.children[1].style.width = `${width(cooling)}%`;
  const percent = share(allocated);
  setAttribute(bar, "data-level", percent >= 95 ? "high" : percent >= 80 ? "raised" : null);
  setAttribute(bar, "aria-label", `${percent.toFixed(1)} % allocated`);
}

const GROUPS = new Intl.NumberFormat("en-GB");

/** 1,234,567; of a number longer than nine digits its power of two, or of ten. */
export function count(value) {
  const number = BigInt(value);
  if (number < 1_000_000_000n) return GROUPS.format(number);
  let power = 0n;
  while (1n << power < number) power++;
  // Ranges without their first few addresses are that large as well.
  if ((1n << power) - number < (1n << power) / 1_000_000n) return `2${superscript(power)}`;
  const digits = number.toString();
  return `${digits[0]}.${digits[1]}×10${superscript(digits.length - 1)}`;
}

function superscript(number) {
  return [...String(number)].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]).join("");
}

export function percent(part, whole) {
  return whole > 0n ? (Number(part * 1000n / whole) / 10).toFixed(1) : "0.0";
}

export function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h`;
  if (seconds < 86_400 * 730) return `${Math.round(seconds / 86_400)} d`;
  const years = seconds / 31_557_600;
  return years < 1000 ? `${Math.round(years)} years` : "over 1,000 years";
}
