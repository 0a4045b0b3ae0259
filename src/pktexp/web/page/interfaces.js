// The table of interfaces: rates, a sparkline of the last minute, hooks.

import { find, make, setText } from "./dom.js";
import { bits, count, packets } from "./format.js";
import { Minutes, order, rate } from "./minutes.js";
import { Table } from "./table.js";

const SHOWN = 100; // rows at most; filters find the others

const KEYS = {
  name: (row) => row.name,
  class: (row) => `${row.class} ${row.kind}`,
  received: (row) => rate(row, "ingress", "bytes") ?? -1,
  sent: (row) => rate(row, "egress", "bytes") ?? -1,
  "packets-in": (row) => rate(row, "ingress", "packets") ?? -1,
  "packets-out": (row) => rate(row, "egress", "packets") ?? -1,
  dropped: (row) => row.lost,
  state: (row) => row.state,
};

export class Interfaces {
  minutes = new Minutes((row) => row.name);

  constructor(selection) {
    this.selection = selection;
    this.table = new Table(find("interfaces"), this.#columns(), (name) => this.#sort(name));
    find("interface-search").addEventListener("input", (event) =>
      selection.set({ find: event.target.value }, true),
    );
  }

  #columns() {
    const number = (title, name, text) => ({ title, name, number: true, text });
    return [
      { title: "Interface", name: "name", make: (cell, row) => this.#name(cell, row) },
      number("Received", "received", (row) => bits(rate(row, "ingress", "bytes"))),
      number("Sent", "sent", (row) => bits(rate(row, "egress", "bytes"))),
      this.minutes.column(),
      number("Packets in", "packets-in", (row) => packets(rate(row, "ingress", "packets"))),
      number("Packets out", "packets-out", (row) => packets(rate(row, "egress", "packets"))),
      number("Dropped, total", "dropped", (row) => count(row.lost)),
      { title: "Class", name: "class", text: (row) => [row.class, row.kind].filter(Boolean).join(", ") },
      { title: "Counted", name: "state", text: state },
      { title: "About", text: (row) => about(row) },
    ];
  }

  #name(cell, { name }) {
    const button = make("button", { type: "button", text: name, title: `Traffic of ${name}` });
    button.addEventListener("click", () => this.selection.set({ of: `if:${name}` }));
    cell.append(button);
    return { show: () => {} };
  }

  #sort(name) {
    const down = this.selection.get("sort") === name ? this.selection.get("down") !== "1" : name !== "name";
    this.selection.set({ sort: name, down: down ? "1" : "0" });
  }

  // `harmless`: drop reasons that closing a socket causes; they are left out.
  show(all, harmless) {
    const rows = all.map((row) => ({ ...row, lost: dropped(row, harmless) }));
    const { sort, down, text } = this.#wanted();
    if (find("interface-search").value !== this.selection.get("find")) {
      find("interface-search").value = this.selection.get("find");
    }
    const found = rows.filter((row) => !text || words(row).includes(text));
    const key = KEYS[sort] ?? KEYS.received;
    found.sort((a, b) => order(key(a), key(b)) * (down ? -1 : 1) || order(a.name, b.name));
    this.table.sorted(sort, down);
    this.table.show(found.slice(0, SHOWN), (row) => row.name);
    const more = found.length > SHOWN ? `, ${SHOWN} shown` : "";
    setText(find("interface-note"), `${found.length} of ${rows.length}${more}`);
  }

  #wanted() {
    const text = this.selection.get("find").toLowerCase();
    return { sort: this.selection.get("sort"), down: this.selection.get("down") === "1", text };
  }
}

const words = (row) =>
  [row.name, row.alias, row.pod, row.pod_namespace, row.class, row.kind, row.state].join("\n").toLowerCase();

const dropped = (row, harmless) =>
  Object.entries(row.dropped).reduce((sum, [reason, packets]) => sum + (harmless.has(reason) ? 0 : packets), 0);

function about(row) {
  const pod = row.pod && `pod ${row.pod_namespace}/${row.pod}`;
  return [row.alias, pod, row.peer_netns && `to ${row.peer_netns}`].filter(Boolean).join(", ");
}

function state(row) {
  const hooks = [row.hooks.ingress, row.hooks.egress].filter((hook) => hook && hook !== "none");
  return row.state === "counting" ? hooks.join(", ") : [row.state, ...hooks].join(": ");
}
