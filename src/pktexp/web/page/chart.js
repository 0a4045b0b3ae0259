// The two charts: received traffic above the axis, sent below it, stacked by protocol.

import { setText } from "./dom.js";
import { GROUPS, SECONDS } from "./past.js";

const HEIGHT = 190;
const LEAST = 60; // seconds; the shortest time axis
// Looked up at each drawing, as the theme may have changed.
const colour = (name) => () => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// Returns cumulative sums over the groups, for stacked areas; those of sent traffic are negative.
function stacked(values) {
  const found = [];
  for (const [direction, sign] of [["ingress", 1], ["egress", -1]]) {
    const length = values[direction].tcp.length;
    const sum = new Array(length).fill(null);
    const layers = GROUPS.map((group) =>
      values[direction][group].map((value, i) => {
        if (value !== null) sum[i] = (sum[i] ?? 0) + sign * value;
        return sum[i];
      }),
    );
    found.push(...layers.reverse()); // the largest sum is drawn first, the others over it
  }
  return found;
}

// Formats the times of an axis, with seconds where whole minutes would repeat.
function clocks(times, step) {
  const shown = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  if (step < 60) shown.second = "2-digit";
  return times.map((seconds) => new Date(seconds * 1000).toLocaleTimeString([], shown));
}

export class Chart {
  #plot = null;
  #cursor = null;

  // `write` formats a value; `unit` is bytes or packets; `text` is the element for the values.
  constructor(element, text, unit, write) {
    this.element = element;
    this.text = text;
    this.unit = unit;
    this.write = write;
    new ResizeObserver(() => this.#resize()).observe(element);
  }

  #resize() {
    const width = this.element.clientWidth;
    if (this.#plot && width && width !== this.#plot.width) this.#plot.setSize({ width, height: HEIGHT });
  }

  show(past) {
    this.past = past;
    const now = past.times.at(-1) ?? Date.now() / 1000;
    const data = [past.times, ...stacked(past.values[this.unit])];
    this.#plot ??= this.#make();
    this.#plot.setData(data, false);
    this.#plot.setScale("x", { min: Math.max(now - SECONDS, Math.min(past.first, now - LEAST)), max: now });
    this.#showValues();
  }

  #make() {
    const axis = { stroke: colour("soft"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false } };
    const layer = (group) => ({
      stroke: colour(group),
      fill: colour(group),
      fillTo: 0,
      width: 0.5,
      points: { show: false },
    });
    const layers = [...GROUPS].reverse().map(layer);
    return new window.uPlot(
      {
        width: this.element.clientWidth || 600,
        height: HEIGHT,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
        scales: { y: { range: (_, low, high) => this.#range(low, high) } },
        series: [{}, ...layers, ...layers.map((x) => ({ ...x }))],
        axes: [{ ...axis, size: 28, values: (_, splits, __, ___, step) => clocks(splits, step) }, { ...axis, size: 74, values: (_, splits) => splits.map((x) => this.write(Math.abs(x))) }],
        hooks: { setCursor: [(plot) => this.#point(plot.cursor.idx)] },
      },
      undefined,
      this.element,
    );
  }

  #range(low, high) {
    const most = Math.max(high ?? 0, -(low ?? 0), this.unit === "bytes" ? 125 : 1);
    return [low < 0 ? Math.min(low * 1.08, -most * 0.08) : -most * 0.08, Math.max(high * 1.08, most * 0.08)];
  }

  #point(index) {
    this.#cursor = index ?? null;
    this.#showValues();
  }

  // Writes the values under the pointer, or the latest ones.
  #showValues() {
    const past = this.past;
    const index = this.#cursor ?? past.times.length - 1;
    if (index < 0 || past.times[index] === undefined) return setText(this.text, "no values yet");
    const at = new Date(past.times[index] * 1000).toLocaleTimeString([], { hourCycle: "h23" });
    const parts = ["ingress", "egress"].map((direction) => {
      const values = GROUPS.map((group) => past.values[this.unit][direction][group][index]);
      const sum = values.reduce((a, b) => (b === null ? a : (a ?? 0) + b), null);
      return `${direction === "ingress" ? "received" : "sent"} ${this.write(sum)}`;
    });
    const text = `${at}: ${parts.join(", ")}`;
    setText(this.text, text);
    if (this.#cursor === null) this.element.setAttribute("aria-label", `Chart of the last 15 minutes. ${text}`);
    return undefined;
  }
}

// A sparkline without axes, for a table cell.
export class Spark {
  #plot;

  constructor(element) {
    this.#plot = new window.uPlot(
      {
        width: 120,
        height: 22,
        legend: { show: false },
        cursor: { show: false },
        padding: [2, 0, 2, 0],
        scales: { x: { time: false }, y: { range: (_, low, high) => [0, Math.max(high ?? 0, 1)] } },
        axes: [{ show: false }, { show: false }],
        series: [{}, { stroke: colour("tcp"), width: 1.2, points: { show: false } }],
      },
      undefined,
      element,
    );
  }

  show(values) {
    this.#plot.setData([values.map((_, i) => i), values]);
  }

  destroy() {
    this.#plot.destroy();
  }
}
