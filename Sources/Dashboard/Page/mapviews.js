// The views of a map: a pool by blocks, a block of it by smaller ones, and at last single addresses.

import { contains, coveringCIDR, formatAddress, formatRange, parseRange } from "./addresses.js";

/** A pool of no more addresses is shown by single ones at once. */
const SINGLES = 1024n;
/** Rows of one answer, and how many of those are asked for: later rows are not shown, and the page says so. */
const PAGE = 5000;
const PAGES = 4;

/**
 * A view: {pool, inside, cells, total, note}. A cell: {label, first, size, allocated, cooling, reserved, free, enter?, holder?}, of which the
 * counts are BigInts, or null where the server does not tell them of so small a part; `enter` is where it leads. With `descends` it is the
 * innermost one that shows all that is held in the place.
 */
export async function loadView(server, place, descends = false) {
  const pool = await poolOf(server, place.pool);
  if (!place.inside.length) {
    const cells = await rootCells(server, pool);
    return { pool, inside: [], cells, total: sum(cells), note: "" };
  }
  const range = parseRange(place.inside.at(-1));
  const outer = pool.cidr && parseRange(pool.cidr);
  if (!outer || !range || !contains(outer, range)) throw new Error(`${place.inside.at(-1)} is not inside of ${pool.name}`);
  if (pool.kind === "NodeCIDR") return { pool, inside: place.inside, ...await subnets(server, pool, range) };
  const [root, held] = await Promise.all([rootCells(server, pool), holders(server, range)]);
  const parent = root.find((cell) => contains(cell.span, range));
  const isPlain = parent !== undefined && parent.cooling === 0n && parent.reserved === 0n;
  const inside = [...place.inside];
  const inner = descends && held.isWhole ? around(held.items, range) : null;
  if (inner) inside.push(formatRange(inner));
  const cells = addresses(pool, inner ?? range, held, isPlain);
  if (!isPlain && cells[0].size === 1n) await tellStates(server, cells);
  const note = held.isWhole ? "" : `the first ${held.items.length} that are held; there are more`;
  return { pool, inside, cells, total: sum(cells), note };
}

/** The block that has all of the addresses in it, where it is much smaller than the range; of 256 addresses at least. */
function around(items, range) {
  if (!items.length) return null;
  let [low, high] = [items[0].bits, items[0].bits];
  for (const { bits } of items) [low, high] = [bits < low ? bits : low, bits > high ? bits : high];
  let shift = 8n;
  while (low >> shift !== high >> shift) shift++;
  const inner = { family: range.family, first: low >> shift << shift, last: (high >> shift) + 1n << shift };
  inner.last -= 1n;
  return contains(range, inner) && 16n << shift <= range.last - range.first + 1n ? inner : null;
}

/** The fixed facts of a pool, which do not change while its server runs. */
async function poolOf(server, name) {
  server.pools ??= new Map();
  if (!server.pools.has(name)) server.pools.set(name, await server.call("GetPoolMap", { pool: name, blocks: 1 }));
  return server.pools.get(name);
}

function blocksOf(pool) {
  const size = sizeOf(pool);
  if (size <= SINGLES) return Number(size);
  let bits = 0n;
  while (1n << bits < size) bits++;
  // As many blocks as each of them has addresses, so that there are two levels.
  const half = 1n << (bits + 1n) / 2n;
  return half < 256n ? 256 : half > 4096n ? 4096 : Number(half);
}

function sizeOf(pool) {
  if (pool.ports) {
    const [first, last] = pool.ports.split("-").map(BigInt);
    return last - first + 1n;
  }
  const { first, last } = parseRange(pool.cidr);
  const size = last - first + 1n;
  return pool.kind === "NodeCIDR" ? size / subnetSize(pool) || 1n : size;
}

const subnetSize = (pool) => 1n << BigInt((pool.family === "IPv4" ? 32 : 128) - pool.nodeMaskSize);

async function rootCells(server, pool) {
  const map = await server.call("GetPoolMap", { pool: pool.name, blocks: blocksOf(pool) });
  const outer = pool.cidr && parseRange(pool.cidr);
  return map.blocks.map((block, index) => {
    const counts = {
      allocated: BigInt(block.allocated), cooling: BigInt(block.coolingDown), reserved: BigInt(block.reserved),
      free: BigInt(block.free),
    };
    const size = counts.allocated + counts.cooling + counts.reserved + counts.free;
    if (!outer) {
      const last = BigInt(block.first) + size - 1n;
      return { label: size > 1n ? `${block.first}-${last}` : block.first, short: block.first, size, ...counts };
    }
    const start = parseRange(block.first).first;
    const next = map.blocks[index + 1];
    const last = next ? parseRange(next.first).first - 1n : outer.last;
    const span = { family: outer.family, first: start, last };
    const label = formatRange(span);
    const cell = { label, short: formatAddress(outer.family, start), span, size, ...counts };
    if (pool.kind === "NodeCIDR" && size === 1n) cell.subnet = label;
    cell.enter = size > 1n ? { inside: [label] } : undefined;
    return cell;
  });
}

function sum(cells) {
  const total = { allocated: 0n, cooling: 0n, reserved: 0n, free: 0n };
  for (const cell of cells) for (const name of Object.keys(total)) {
    if (cell[name] === null) total[name] = null;
    else if (total[name] !== null) total[name] += cell[name];
  }
  return total;
}

/** Which addresses of a range are held: the first of them, where there are too many. */
export async function holders(server, range, pages = PAGES, limit = PAGE) {
  const params = { cidr: coveringCIDR(range), limit };
  const items = [];
  for (let page = 0; page < pages; page++) {
    const answer = await server.call("LookupIP", params);
    for (const item of answer.items) {
      const { family, first } = parseRange(item.ip);
      if (contains(range, { family, first, last: first })) items.push({ ...item, bits: first });
    }
    if (!answer.continue) return { items, isWhole: true };
    params.continue = answer.continue;
  }
  return { items, isWhole: false };
}

/** A block by 256 smaller ones, or by its addresses where it has no more than that; then each has its holder. */
function addresses(pool, range, held, isPlain) {
  const size = range.last - range.first + 1n;
  let shift = 0n;
  while (size > SINGLES && size >> shift > 256n) shift++;
  const start = range.first >> shift;
  const counts = new Map();
  const byAddress = new Map();
  for (const item of held.items) {
    if (item.bits < range.first || item.bits > range.last || item.pool && item.pool !== pool.name) continue;
    const index = Number((item.bits >> shift) - start);
    counts.set(index, (counts.get(index) ?? 0n) + 1n);
    if (shift === 0n) byAddress.set(index, item);
  }
  return Array.from({ length: Number((range.last >> shift) - start) + 1 }, (_, index) => {
    const block = start + BigInt(index) << shift;
    const first = block < range.first ? range.first : block;
    const end = block + (1n << shift) - 1n;
    const span = { family: range.family, first, last: end > range.last ? range.last : end };
    const label = formatRange(span);
    const allocated = counts.get(index) ?? 0n;
    const blockSize = span.last - span.first + 1n;
    const rest = isPlain || allocated === blockSize ? 0n : null;
    return {
      label, short: formatAddress(range.family, first), span, size: blockSize, allocated, cooling: rest, reserved: rest,
      free: rest === null ? null : blockSize - allocated, holder: byAddress.get(index),
      enter: blockSize > 1n ? { inside: [label] } : undefined,
    };
  });
}

/** Of addresses without a holder: free, reserved or cooling down. */
async function tellStates(server, cells) {
  const open = cells.filter((cell) => cell.allocated === 0n);
  const answers = await server.batch(open.map((cell) => ["LookupIP", { ip: cell.label }]));
  open.forEach((cell, index) => {
    const state = answers[index].state;
    cell.cooling = state === "coolingDown" ? 1n : 0n;
    cell.reserved = state === "reserved" || state === "outOfRange" ? 1n : 0n;
    cell.allocated = state === "allocated" ? 1n : 0n;
    cell.free = state === "free" ? 1n : 0n;
    if (state === "allocated") cell.holder = answers[index];
  });
}

/** A block of nodes' subnets by single ones. */
async function subnets(server, pool, range) {
  const size = subnetSize(pool);
  const number = Number((range.last - range.first + 1n) / size);
  const spans = Array.from({ length: Math.min(number, 4096) }, (_, index) => {
    const first = range.first + BigInt(index) * size;
    return { family: range.family, first, last: first + size - 1n };
  });
  const answers = await server.batch(spans.map((span) => ["LookupIP", { ip: formatAddress(span.family, span.first) }]));
  const cells = spans.map((span, index) => {
    const label = formatRange(span);
    const node = nodeOfPool(answers[index].pool);
    const cooling = answers[index].state === "coolingDown";
    return {
      label, short: formatAddress(span.family, span.first), span, size: 1n, subnet: label, node, allocated: node ? 1n : 0n,
      cooling: cooling ? 1n : 0n, reserved: 0n, free: node || cooling ? 0n : 1n,
    };
  });
  return { cells, total: sum(cells), note: "" };
}

/** The node of the pool: `pods-NODE-ipv4`; null of another one. */
export function nodeOfPool(name) {
  return /^pods-(.+)-ipv[46]$/.exec(name ?? "")?.[1] ?? null;
}

/** The owner of a cell of one address, or the node of a subnet; asked for when it is shown. */
export async function lookAt(server, cell) {
  if (!cell.span) return;
  if (cell.subnet && cell.node === undefined) {
    const answer = await server.call("LookupIP", { ip: formatAddress(cell.span.family, cell.span.first) });
    cell.node = nodeOfPool(answer.pool);
  } else if (!cell.subnet && cell.size === 1n && cell.allocated === 1n && !cell.holder) {
    cell.holder = await server.call("LookupIP", { ip: cell.label });
  }
}

export function ownerText(owner) {
  if (!owner) return "another's";
  return `${owner.kind} ${owner.namespace ? `${owner.namespace}/` : ""}${owner.name}`;
}
