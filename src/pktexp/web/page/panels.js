// The smaller panels: current rates, drops, packet sizes, and the exporter itself.

import { describe, find, setText } from "./dom.js";
import { bits, bytes, count, duration, memory, packets, percent } from "./format.js";
import { Table, bar } from "./table.js";

const DROPS = 12; // rows

// Shows the current rates of a sample; `counted` are the interfaces in scope.
export function showNow(told, counted, title) {
  const sum = (direction, unit) =>
    counted.reduce((all, one) => all + (one[direction]?.[`${unit}_per_second`] ?? 0), 0);
  const rate = (drops) => drops.reduce((all, drop) => all + (drop.packets_per_second ?? 0), 0);
  const drops = rate(told.drops.filter((drop) => !drop.harmless));
  const largest = told.flows?.flows[0];
  const { events } = told.status;
  setText(find("now-title"), `Now: ${title}`);
  describe(find("now"), [
    ["Received", bits(sum("ingress", "bytes"))],
    ["Sent", bits(sum("egress", "bytes"))],
    ["Packets received", packets(sum("ingress", "packets"))],
    ["Packets sent", packets(sum("egress", "packets"))],
    ["Dropped by kernel", packets(drops), drops > 0 ? "bad" : ""],
    ["Discarded at close", packets(rate(told.drops.filter((drop) => drop.harmless))), "soft"],
    ["Not attributed, total", count(events.lost_packets), events.lost_packets_per_second > 0 ? "bad" : ""],
    ["Largest talker", largest ? talker(largest) : "–", "small"],
  ]);
}

function talker(flow) {
  const ends = [flow.source_pod || flow.source, flow.dest_pod || flow.dest];
  const text = ends.filter(Boolean).join(" → ") || flow.protocol;
  return `${text}, ${bits(flow.bytes_per_second)}`;
}

export class Drops {
  constructor() {
    this.table = new Table(find("drops"), [
      { title: "Reason", text: (row) => row.reason },
      { title: "Interface", text: (row) => row.interface || "none" },
      { title: "Rate", number: true, text: (row) => packets(row.packets_per_second) },
      { title: "Total", number: true, text: (row) => count(row.packets) },
      { title: "", text: (row) => (row.harmless ? "a socket was closed" : ""), soft: true },
    ]);
  }

  // `devices`: drop counters of the devices, updated less often.
  show(drops, devices) {
    const own = devices
      .filter((row) => row.packets)
      .map((row) => ({ ...row, reason: `device: ${row.kind} at ${row.direction}`, packets_per_second: null }));
    const largest = (a, b) =>
      Number(a.harmless ?? false) - Number(b.harmless ?? false) ||
      (b.packets_per_second ?? 0) - (a.packets_per_second ?? 0) ||
      b.packets - a.packets;
    const rows = [...drops, ...own].sort(largest);
    this.table.show(rows.slice(0, DROPS), (row) => `${row.reason}\n${row.interface}`);
    const more = rows.length > DROPS ? ` The ${DROPS} largest are shown.` : "";
    setText(find("drops-note"), rows.length ? `By the kernel's own reason; those of closed sockets come last.${more}` : "Nothing so far.");
  }
}

export class Sizes {
  constructor() {
    const number = (title, name) => ({ title, number: true, text: (row) => count(row[name]) });
    const share = (name) => ({
      title: "Share",
      make: (cell) => {
        const set = bar(cell);
        return { show: (row) => set(row[name] / this.most) };
      },
    });
    this.most = 1;
    this.table = new Table(find("sizes"), [
      { title: "Bytes up to", text: (row) => (row.bound === null ? "more" : String(row.bound)) },
      ...[number("Received", "ingress"), share("ingress")],
      ...[number("Sent", "egress"), share("egress")],
    ]);
  }

  show(counted, title) {
    const bounds = counted[0]?.ingress.sizes.bounds ?? [];
    const rows = bounds.map((bound, i) => ({ bound, ingress: at(counted, "ingress", i), egress: at(counted, "egress", i) }));
    this.most = Math.max(1, ...rows.flatMap((row) => [row.ingress, row.egress]));
    this.table.show(rows, (row) => String(row.bound));
    setText(find("sizes-note"), `Packets of ${title}, since the start.`);
  }
}

const at = (counted, direction, index) =>
  counted.reduce((sum, one) => sum + (one[direction]?.sizes.counts[index] ?? 0), 0);

export function showHealth({ version, libbpf, now, started, ready, missing, events, cost, history, stream, options }) {
  const run = cost.bpf_runs ? `${((cost.bpf_run_seconds / cost.bpf_runs) * 1e9).toFixed(0)} ns a packet` : null;
  describe(find("health"), [
    ["State", ready ? "attached and reading" : missing, ready ? "" : "bad"],
    ["CPU", percent(cost.cpu_percent)],
    ["Memory", `${memory(cost.rss_bytes)}, and ${memory(cost.kernel_bytes)} of the kernel's`],
    ["BPF programs", run ?? "not measured (sysctl kernel.bpf_stats_enabled=1 does)"],
    ["Records from the kernel", `${count(events.records_per_second)} a second`],
    ["Lost by flows", `${count(events.lost_packets)} packets, ${bytes(events.lost_bytes)}`, events.lost_packets ? "bad" : ""],
    ["Failures to merge", count(events.merge_failures), events.merge_failures ? "bad" : ""],
    ["History", `${history.interfaces} of ${history.interface_limit} interfaces`],
    ["Pages like this", `${stream.readers} open, ${stream.dropped} dropped`],
    ["Flows", `${options.flows}, ${options.max_flows} at most`],
    ["Running", `${duration(now - started)}, version ${version}, libbpf ${libbpf}`],
  ]);
}
