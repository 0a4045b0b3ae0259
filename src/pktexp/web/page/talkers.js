// The table of the top flows, selected by filters, with a bar for each rate.

import { find, make, offer, setText } from "./dom.js";
import { bits, bytes, count, packets } from "./format.js";
import { Table, bar } from "./table.js";

const PROTOCOLS = ["tcp", "udp", "icmp", "icmpv6", "arp", "sctp", "esp", "gre", "other"];
const FILTERS = {
  interface: "flow-interface",
  direction: "flow-direction",
  protocol: "flow-protocol",
  search: "flow-search",
  top: "flow-top",
};

const SEARCHED = ["source", "dest", "source_namespace", "source_pod", "dest_namespace", "dest_pod"];

const pod = (namespace, name) => (name ? `${namespace}/${name}` : "");

export class Talkers {
  constructor(selection) {
    this.selection = selection;
    this.most = 1;
    this.table = new Table(find("flows"), this.#columns(), (name) => selection.set({ by: name }));
    for (const [name, id] of Object.entries(FILTERS)) {
      find(id).addEventListener("input", (event) =>
        selection.set({ [name]: event.target.value }, name === "search"),
      );
    }
  }

  #columns() {
    const number = (title, name, text) => ({ title, name, number: true, text });
    return [
      { title: "Source", make: (cell) => end(cell, "source") },
      { title: "Destination", make: (cell) => end(cell, "dest") },
      number("Rate", "bytes_per_second", (row) => bits(row.bytes_per_second)),
      { title: "Share", make: (cell) => this.#share(cell) },
      number("Packets", "packets_per_second", (row) => packets(row.packets_per_second)),
      number("Bytes in all", "bytes", (row) => bytes(row.bytes)),
      number("Packets in all", "packets", (row) => count(row.packets)),
      { title: "Protocol", text: (row) => row.protocol },
      { title: "Interface", text: (row) => `${row.interface} ${row.direction}`.trim() },
    ];
  }

  #share(cell) {
    const set = bar(cell);
    return { show: (row) => set((row[this.selection.get("by")] ?? row.bytes) / this.most) };
  }

  // Returns the parameters of the API's stream for the selected filters.
  query() {
    const query = new URLSearchParams({ view: "flows", top: this.selection.get("top"), sort: this.selection.get("by") });
    for (const name of ["interface", "direction", "protocol", "search"]) {
      const value = this.selection.get(name);
      if (value) query.set(name, name === "interface" ? value.replace(/[[*?]/g, "[$&]") : value);
    }
    return query;
  }

  // Rows may be older than the selection, as always while the page is paused: filters them here, too.
  #fits(row) {
    const wanted = (name) => ["", row[name]].includes(this.selection.get(name));
    const text = SEARCHED.map((name) => row[name]).join("\n").toLowerCase();
    const found = text.includes(this.selection.get("search").toLowerCase());
    return found && ["interface", "direction", "protocol"].every(wanted);
  }

  show(flows, names) {
    const named = [["", "all"], ...names.map((name) => [name, name])];
    offer(find("flow-interface"), named, this.selection.get("interface"));
    const protocols = [["", "all"], ...PROTOCOLS.map((name) => [name, name])];
    offer(find("flow-protocol"), protocols, this.selection.get("protocol"));
    for (const name of ["direction", "search", "top"]) {
      const element = find(FILTERS[name]);
      if (element.value !== this.selection.get(name)) element.value = this.selection.get(name);
    }
    if (flows === null) return this.#off();
    const by = this.selection.get("by");
    const rows = flows.flows.filter((row) => this.#fits(row)).sort((a, b) => (b[by] ?? 0) - (a[by] ?? 0));
    const shown = rows.length;
    if (!this.selection.get("search") && !this.selection.get("protocol")) {
      rows.push({ ...flows.other, source: "all others", dest: "", protocol: "", interface: "", direction: "" });
    }
    this.most = Math.max(1, ...rows.map((row) => row[by] ?? row.bytes));
    this.table.sorted(by, true);
    this.table.show(rows, (row) => [row.interface, row.direction, row.protocol, row.source, row.dest].join("\n"));
    const text = `${flows.matched} found, ${shown} shown. A packet is a row at each interface it crosses.`;
    return this.#note(text);
  }

  #off() {
    this.table.clear();
    this.#note("pktexp runs with --flows off: start it with --flows hosts to see who talks.");
  }

  #note(text) {
    const note = find("flow-note");
    note.hidden = false;
    setText(note, text);
  }
}

function end(cell, which) {
  const address = make("span");
  const name = make("span", { className: "soft" });
  cell.append(address, name);
  return {
    show: (row) => {
      setText(address, row[which]);
      setText(name, pod(row[`${which}_namespace`], row[`${which}_pod`]));
    },
  };
}
