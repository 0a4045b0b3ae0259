// The last fifteen minutes of an interface or a class: from the API's history, then from the stream.

import { ask } from "./source.js";

export const SECONDS = 900;
export const GAP = 3; // seconds between samples that count as a gap
export const GROUPS = ["tcp", "udp", "icmp", "other"];
const DIRECTIONS = ["ingress", "egress"];
const UNITS = ["bytes", "packets"];
const MOST = 16; // interfaces with a value per second; for more, values are means over longer steps

const groupOf = (protocol) =>
  protocol === "icmpv6" ? "icmp" : GROUPS.includes(protocol) ? protocol : "other";

// Sums the counters of interfaces: {ingress: {bytes: {tcp: …}, packets: {…}}, egress: …}.
function sums(interfaces) {
  const zero = () => Object.fromEntries(GROUPS.map((group) => [group, 0]));
  const found = {};
  for (const direction of DIRECTIONS) {
    found[direction] = { bytes: zero(), packets: zero() };
    for (const one of interfaces) {
      for (const [protocol, told] of Object.entries(one[direction]?.protocols ?? {})) {
        for (const unit of UNITS) found[direction][unit][groupOf(protocol)] += told[unit];
      }
    }
  }
  return found;
}

export class Past {
  #last = null; // the latest full second: its counters
  #second = null; // the latest second that has a value
  #offset = 0; // Unix time of second 0 of the service's clock
  #waiting = 0;

  constructor() {
    this.clear();
  }

  // Empties `times` and `values`: by unit, direction and group, a value per second for each time, null in a gap.
  clear() {
    this.times = [];
    this.values = {};
    for (const unit of UNITS) {
      this.values[unit] = {};
      for (const d of DIRECTIONS) this.values[unit][d] = Object.fromEntries(GROUPS.map((g) => [g, []]));
    }
    this.#last = null;
    this.#second = null;
  }

  // The time of the first value, Infinity without any.
  get first() {
    const at = this.values.bytes.ingress.tcp.findIndex((value) => value !== null);
    return at < 0 ? Infinity : this.times[at];
  }

  // Replaces all values by the history of these interfaces.
  async load(names) {
    this.clear();
    const waiting = (this.#waiting += 1);
    const step = Math.max(1, Math.ceil(names.length / MOST));
    const paths = names.length > MOST ? ["*"] : names.map((name) => name.replace(/[[*?]/g, "[$&]"));
    const documents = await Promise.all(
      paths.map((glob) => ask(`history?step=${step}&interface=${encodeURIComponent(glob)}`)),
    );
    if (waiting === this.#waiting) this.#enter(documents, new Set(names));
  }

  #enter(documents, names) {
    if (!documents.length) return;
    const { start, second, step, length } = documents[0];
    this.#second = second;
    this.#offset = start + length * step - second;
    const found = documents
      .flatMap((document) => Object.entries(document.interfaces))
      .filter(([name]) => names.has(name))
      .map(([, told]) => told);
    this.times = Array.from({ length }, (_, i) => start + (i + 1) * step);
    for (const unit of UNITS) {
      for (const direction of DIRECTIONS) {
        for (const group of GROUPS) {
          this.values[unit][direction][group] = added(found, direction, unit, group, length);
        }
      }
    }
  }

  // Appends a value from a sample of a full second: the counters' growth per second since the one before.
  // Values are of whole seconds on the service's clock, as in the history, whose last second they follow.
  add({ now, second }, interfaces) {
    if (second === null) return;
    const told = sums(interfaces);
    const last = this.#last;
    this.#last = { second, told, count: interfaces.length };
    if (this.#second === null) this.#offset = now - second;
    if (!last || second <= last.second || second <= (this.#second ?? 0)) return;
    const seconds = second - last.second;
    const gap = seconds > GAP || last.count !== interfaces.length;
    this.#second = second;
    this.times.push(this.#offset + second);
    for (const unit of UNITS) {
      for (const direction of DIRECTIONS) {
        for (const group of GROUPS) {
          const grown = told[direction][unit][group] - last.told[direction][unit][group];
          this.values[unit][direction][group].push(gap ? null : Math.max(grown, 0) / seconds);
        }
      }
    }
    this.#forget(this.#offset + second - SECONDS);
  }

  #forget(before) {
    const gone = this.times.findIndex((time) => time >= before);
    if (gone <= 0) return;
    this.times.splice(0, gone);
    for (const unit of UNITS) {
      for (const direction of DIRECTIONS) {
        for (const group of GROUPS) this.values[unit][direction][group].splice(0, gone);
      }
    }
  }
}

function added(found, direction, unit, group, length) {
  const wanted = group === "other" ? ["other", "other_ip"] : [group];
  const series = found.flatMap((told) =>
    wanted.map((name) => told[direction]?.protocols[name]?.[unit]).filter(Boolean),
  );
  return Array.from({ length }, (_, i) =>
    series.reduce((sum, values) => (values[i] === null ? sum : (sum ?? 0) + values[i]), null),
  );
}
