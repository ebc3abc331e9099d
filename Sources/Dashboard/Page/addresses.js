// IPv4 and IPv6 addresses as a family and a BigInt.

const BITS = { 4: 32n, 6: 128n };

export function parseAddress(text) {
  return text.includes(":") ? parseIPv6(text) : parseIPv4(text);
}

function parseIPv4(text) {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  let bits = 0n;
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return null;
    bits = bits << 8n | BigInt(part);
  }
  return { family: 4, bits };
}

function parseIPv6(text) {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const groups = (half) => half === "" ? [] : half.split(":");
  const tail = (list) => {
    const last = list.at(-1);
    if (!last?.includes(".")) return list;
    const four = parseIPv4(last);
    if (!four) return [""];
    return [...list.slice(0, -1), (four.bits >> 16n).toString(16), (four.bits & 0xffffn).toString(16)];
  };
  const head = halves.length === 1 ? tail(groups(halves[0])) : groups(halves[0]);
  const rest = halves.length === 1 ? [] : tail(groups(halves[1]));
  const missing = 8 - head.length - rest.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  let bits = 0n;
  for (const group of [...head, ...Array(missing).fill("0"), ...rest]) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return null;
    bits = bits << 16n | BigInt(`0x${group}`);
  }
  return { family: 6, bits };
}

export function formatAddress(family, bits) {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => bits >> shift & 255n).join(".");
  const groups = Array.from({ length: 8 }, (_, index) => Number(bits >> BigInt(112 - 16 * index) & 0xffffn));
  // The longest run of zeros, the first of equals, and no run of one.
  let best = { start: 0, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const text = (part) => part.map((group) => group.toString(16)).join(":");
  if (best.length === 1) return text(groups);
  return `${text(groups.slice(0, best.start))}::${text(groups.slice(best.start + best.length))}`;
}

/** "a/n", "a-b" or "a" as {family, first, last}; null where it is none. */
export function parseRange(text) {
  const slash = text.indexOf("/");
  if (slash >= 0) {
    const address = parseAddress(text.slice(0, slash));
    const length = text.slice(slash + 1);
    if (!address || !/^\d{1,3}$/.test(length) || BigInt(length) > BITS[address.family]) return null;
    const size = 1n << BITS[address.family] - BigInt(length);
    const first = address.bits & ~(size - 1n);
    return { family: address.family, first, last: first + size - 1n };
  }
  const [first, last] = text.split("-").map(parseAddress);
  if (!first) return null;
  if (last === undefined) return { family: first.family, first: first.bits, last: first.bits };
  if (!last || last.family !== first.family || last.bits < first.bits) return null;
  return { family: first.family, first: first.bits, last: last.bits };
}

/** The shortest CIDR that has all of a range in it. */
export function coveringCIDR({ family, first, last }) {
  let host = 0n;
  while (first >> host !== last >> host) host++;
  return `${formatAddress(family, first >> host << host)}/${BITS[family] - host}`;
}

/** An address, a CIDR where it is one, else "a-b". */
export function formatRange(range) {
  const { family, first, last } = range;
  if (first === last) return formatAddress(family, first);
  const size = last - first + 1n;
  const isCIDR = (size & size - 1n) === 0n && first % size === 0n;
  return isCIDR ? coveringCIDR(range) : `${formatAddress(family, first)}-${formatAddress(family, last)}`;
}

export function contains(outer, inner) {
  return outer.family === inner.family && outer.first <= inner.first && inner.last <= outer.last;
}
