// The last minute of each row of a table: bytes per second in both directions, by key.

import { make } from "./dom.js";
import { Spark } from "./chart.js";

const MINUTE = 60;

export const rate = (row, direction, unit) => row[direction]?.[`${unit}_per_second`] ?? null;

export const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

export class Minutes {
  #series = new Map();

  // `key(row)` identifies a row across updates.
  constructor(key) {
    this.key = key;
  }

  // Sets the past minutes from the history.
  remember(series) {
    this.#series = series;
  }

  take(rows) {
    const keys = new Set(rows.map(this.key));
    for (const key of this.#series.keys()) if (!keys.has(key)) this.#series.delete(key);
    for (const row of rows) {
      const values = this.#series.get(this.key(row)) ?? [];
      values.push((rate(row, "ingress", "bytes") ?? 0) + (rate(row, "egress", "bytes") ?? 0));
      this.#series.set(this.key(row), values.slice(-MINUTE));
    }
  }

  // The column that shows the minute of each row.
  column() {
    return { title: "Last minute", make: (cell, row) => this.#spark(cell, this.key(row)) };
  }

  #spark(cell, key) {
    const place = make("div", { className: "spark", "aria-hidden": "true" });
    cell.append(place);
    const spark = new Spark(place);
    return { show: () => spark.show(this.#series.get(key) ?? []), end: () => spark.destroy() };
  }
}
