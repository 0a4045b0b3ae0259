// The table of services: traffic by cgroup, with its systemd unit, container and pod.

import { find, make, setText } from "./dom.js";
import { bits, bytes, packets } from "./format.js";
import { Minutes, order, rate } from "./minutes.js";
import { Table } from "./table.js";

const SHOWN = 50; // rows at most; filters find the others

const KEYS = {
  service: (row) => nameOf(row),
  received: (row) => rate(row, "ingress", "bytes") ?? -1,
  sent: (row) => rate(row, "egress", "bytes") ?? -1,
  "packets-in": (row) => rate(row, "ingress", "packets") ?? -1,
  "packets-out": (row) => rate(row, "egress", "packets") ?? -1,
  "total-in": (row) => row.ingress.bytes,
  "total-out": (row) => row.egress.bytes,
};

export class Services {
  minutes = new Minutes((row) => row.cgroup);

  constructor(selection) {
    this.selection = selection;
    this.table = new Table(find("services"), this.#columns(), (name) => this.#sort(name));
    find("service-search").addEventListener("input", (event) =>
      selection.set({ "service-find": event.target.value }, true),
    );
  }

  #columns() {
    const number = (title, name, text) => ({ title, name, number: true, text });
    return [
      { title: "Service", name: "service", make: (cell, row) => this.#name(cell, row) },
      number("Received", "received", (row) => bits(rate(row, "ingress", "bytes"))),
      number("Sent", "sent", (row) => bits(rate(row, "egress", "bytes"))),
      this.minutes.column(),
      number("Packets in", "packets-in", (row) => packets(rate(row, "ingress", "packets"))),
      number("Packets out", "packets-out", (row) => packets(rate(row, "egress", "packets"))),
      number("Received, total", "total-in", (row) => bytes(row.ingress.bytes)),
      number("Sent, total", "total-out", (row) => bytes(row.egress.bytes)),
      { title: "Cgroup", soft: true, text: (row) => row.cgroup },
    ];
  }

  // A click leads to the service's conversations; the API finds them by pod, container, unit or cgroup.
  #name(cell, row) {
    const search = row.pod || row.container || row.unit || row.cgroup;
    const button = make("button", { type: "button", text: nameOf(row), title: `Conversations of ${search}` });
    button.addEventListener("click", () => this.selection.set({ search: search.slice(0, 100) }));
    cell.append(button);
    return { show: () => {} };
  }

  #sort(name) {
    const same = this.selection.get("service-sort") === name;
    const down = same ? this.selection.get("service-down") !== "1" : name !== "service";
    this.selection.set({ "service-sort": name, "service-down": down ? "1" : "0" });
  }

  // `all` is null where traffic by cgroup is not counted.
  show(all) {
    const note = find("service-note");
    if (all === null) {
      this.table.clear();
      return setText(note, "Traffic by cgroup is not counted; the log of pktexp says why.");
    }
    const get = (name) => this.selection.get(`service-${name}`);
    if (find("service-search").value !== get("find")) find("service-search").value = get("find");
    const found = all.filter((row) => words(row).includes(get("find").toLowerCase()));
    const key = KEYS[get("sort")] ?? KEYS.sent;
    const down = get("down") === "1";
    found.sort((a, b) => order(key(a), key(b)) * (down ? -1 : 1) || order(a.cgroup, b.cgroup));
    this.table.sorted(get("sort"), down);
    this.table.show(found.slice(0, SHOWN), (row) => row.cgroup);
    const more = found.length > SHOWN ? `, ${SHOWN} shown` : "";
    return setText(note, `${found.length} of ${all.length}${more}. As sockets see it, without forwarded traffic.`);
  }
}

const nameOf = (row) =>
  (row.pod && `${row.pod_namespace}/${row.pod}`) || (row.container && `container ${row.container}`) || row.unit || row.cgroup;

const words = (row) => [row.cgroup, row.unit, row.container, row.pod, row.pod_namespace].join("\n").toLowerCase();
