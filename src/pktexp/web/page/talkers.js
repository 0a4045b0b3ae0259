// The largest talkers: conversations, each packet counted once, or flows at every interface.

import { find, make, offer, setText } from "./dom.js";
import { bits, bytes, count, packets, percent } from "./format.js";
import { Table, bar } from "./table.js";

const PROTOCOLS = ["tcp", "udp", "icmp", "icmpv6", "arp", "sctp", "esp", "gre", "other"];
const FILTERS = {
  view: "flow-view",
  interface: "flow-interface",
  direction: "flow-direction",
  protocol: "flow-protocol",
  search: "flow-search",
  top: "flow-top",
};
const NOTES = {
  conversations: "Each packet counts once, at the interface nearest to the outside.",
  flows: "A packet counts at each interface it crosses.",
};
const SEARCHED = ["source", "dest"].flatMap((end) => [end, `${end}_namespace`, `${end}_pod`, `${end}_service`]);

const pod = (namespace, name) => (name ? `${namespace}/${name}` : "");
const number = (title, name, text) => ({ title, name, number: true, text });

export class Talkers {
  #shown = ""; // the view whose columns the table has

  constructor(selection) {
    this.selection = selection;
    for (const [name, id] of Object.entries(FILTERS)) {
      find(id).addEventListener("input", (event) =>
        selection.set({ [name]: event.target.value }, name === "search"),
      );
    }
  }

  // The table with the columns of the selected view.
  #table(view) {
    if (view === this.#shown) return this.table;
    this.table?.clear();
    this.#shown = view;
    this.table = new Table(find("flows"), columns(view), (name) => this.selection.set({ by: name }));
    return this.table;
  }

  // The parameters of the stream.
  query() {
    const get = (name) => this.selection.get(name);
    const query = new URLSearchParams({ view: get("view"), top: get("top"), sort: get("by") });
    for (const name of ["interface", "direction", "protocol", "search"]) {
      const value = get(name);
      if (value) query.set(name, name === "interface" ? value.replace(/[[*?]/g, "[$&]") : value);
    }
    return query;
  }

  // Rows of an event that the API built before the selection changed: while paused, all are such rows.
  #fits(row) {
    const names = ["interface", "protocol", ...("direction" in row ? ["direction"] : [])];
    const wanted = (name) => ["", row[name]].includes(this.selection.get(name));
    const text = SEARCHED.map((name) => row[name]).join("\n").toLowerCase();
    return names.every(wanted) && text.includes(this.selection.get("search").toLowerCase());
  }

  show(flows, names) {
    this.#offer(names);
    if (flows === null) return this.#off();
    const by = this.selection.get("by");
    const rows = flows.flows.filter((row) => this.#fits(row)).sort((a, b) => (b[by] ?? 0) - (a[by] ?? 0));
    const table = this.#table(flows.view);
    table.sorted(by, true);
    const stale = rows.length < flows.flows.length; // an event of another selection, while paused
    table.show([...rows, ...(stale ? [] : this.#rest(flows, by))], key);
    return this.#note(`${flows.matched} found, ${rows.length} shown. ${NOTES[flows.view]}`);
  }

  // Matching rows that are not shown, and traffic that no flow shows.
  #rest(flows, by) {
    const whole = flows.total[by];
    const line = (source, numbers) => {
      const share = numbers[by] === null || !whole ? null : numbers[by] / whole;
      return { ...numbers, source, share, dest: "", protocol: "", interface: "", direction: "" };
    };
    const rest = [];
    if (flows.more.flows) rest.push(line(`${flows.more.flows} more ${flows.view}`, flows.more));
    const filtered = this.selection.get("search") || this.selection.get("protocol");
    if (flows.other.packets && !filtered) rest.push(line("untracked", flows.other));
    return rest;
  }

  #offer(names) {
    const named = [["", "all"], ...names.map((name) => [name, name])];
    offer(find("flow-interface"), named, this.selection.get("interface"));
    const protocols = [["", "all"], ...PROTOCOLS.map((name) => [name, name])];
    offer(find("flow-protocol"), protocols, this.selection.get("protocol"));
    for (const name of ["view", "direction", "search", "top"]) {
      const element = find(FILTERS[name]);
      if (element.value !== this.selection.get(name)) element.value = this.selection.get(name);
    }
  }

  #off() {
    this.table?.clear();
    this.#note("pktexp runs with --flows off: start it with --flows hosts to see who talks.");
  }

  #note(text) {
    const note = find("flow-note");
    note.hidden = false;
    setText(note, text);
  }
}

const key = (row) => [row.interface, row.direction, row.protocol, row.source, row.dest].join("\n");

function columns(view) {
  const way = (name) => (row) => bits(row[name]?.bytes_per_second ?? null);
  const rates =
    view === "flows"
      ? []
      : [
          { title: "To destination", number: true, text: way("forward") },
          { title: "To source", number: true, text: way("backward") },
        ];
  return [
    { title: "Source", make: (cell) => end(cell, "source") },
    { title: "Destination", make: (cell) => end(cell, "dest") },
    number("Rate", "bytes_per_second", (row) => bits(row.bytes_per_second)),
    ...rates,
    { title: "Share", make: share },
    number("Packet rate", "packets_per_second", (row) => packets(row.packets_per_second)),
    number("Bytes, total", "bytes", (row) => bytes(row.bytes)),
    number("Packets, total", "packets", (row) => count(row.packets)),
    { title: "Protocol", text: (row) => row.protocol },
    { title: "Interface", text: (row) => `${row.interface} ${row.direction ?? ""}`.trim() },
  ];
}

// A bar and a percentage of the total.
function share(cell) {
  const text = make("span", { className: "soft" });
  const place = make("div");
  cell.append(text, place);
  const set = bar(place);
  cell.className = "share";
  return {
    show: (row) => {
      set(row.share ?? 0);
      setText(text, row.share === null ? "" : percent(row.share * 100));
    },
  };
}

function end(cell, which) {
  const address = make("span");
  const name = make("span", { className: "soft" });
  cell.append(address, name);
  return {
    show: (row) => {
      setText(address, row[which]);
      setText(name, pod(row[`${which}_namespace`], row[`${which}_pod`]) || row[`${which}_service`] || "");
    },
  };
}
