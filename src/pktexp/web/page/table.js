// A table that reuses its row elements between updates, so that focus is kept.

import { make, setText } from "./dom.js";

export class Table {
  #rows = new Map();

  // `columns`: {title, number?, soft?, name?, text(row)} or {title, make(cell, row) → {show(row), end?}}. Columns with
  // a `name` are sortable: a click on their header calls `sort(name)`.
  constructor(table, columns, sort = null) {
    this.columns = columns;
    this.body = table.tBodies[0];
    this.headers = columns.map((column) => header(column, sort));
    const row = make("tr");
    row.append(...this.headers);
    table.tHead.replaceChildren(row);
  }

  sorted(name, down) {
    this.columns.forEach((column, index) => {
      const order = down ? "descending" : "ascending";
      const cell = this.headers[index];
      if (!column.name) return;
      cell.setAttribute("aria-sort", column.name === name ? order : "none");
      const arrow = column.name === name ? (down ? " ▼" : " ▲") : "";
      setText(cell.firstChild, column.title + arrow);
    });
  }

  // Shows `rows` in their order; `key(row)` identifies a row across updates.
  show(rows, key) {
    const shown = new Map(rows.map((row) => [key(row), row]));
    for (const [name, { element, end }] of this.#rows) {
      if (shown.has(name)) continue;
      end.forEach((f) => f());
      element.remove();
      this.#rows.delete(name);
    }
    let place = this.body.firstChild;
    for (const [name, row] of shown) {
      if (!this.#rows.has(name)) this.#rows.set(name, this.#make(row));
      const { element, update } = this.#rows.get(name);
      update.forEach((f) => f(row));
      if (element === place) place = place.nextSibling;
      else this.body.insertBefore(element, place);
    }
  }

  clear() {
    this.show([], () => "");
  }

  #make(row) {
    const element = make("tr");
    const update = [];
    const end = [];
    this.columns.forEach((column, index) => {
      const className = column.number ? "number" : column.soft ? "soft" : "";
      const cell = make(index === 0 ? "th" : "td", { className });
      if (index === 0) cell.scope = "row";
      element.append(cell);
      if (!column.make) return update.push((now) => setText(cell, column.text(now)));
      const made = column.make(cell, row);
      update.push(made.show);
      return made.end && end.push(made.end);
    });
    return { element, update, end };
  }
}

function header(column, sort) {
  const cell = make("th", { scope: "col", className: column.number ? "number" : "" });
  if (!column.name || !sort) {
    cell.textContent = column.title;
    return cell;
  }
  const button = make("button", { type: "button", text: column.title });
  button.addEventListener("click", () => sort(column.name));
  cell.append(button);
  return cell;
}

// Makes a bar in a cell; returns a function that sets its length, a share from 0 to 1.
export function bar(cell) {
  cell.className = "share";
  const fill = make("div", { className: "fill" });
  cell.append(fill);
  return (share) => {
    fill.style.width = `${Math.round(Math.min(Math.max(share, 0), 1) * 1000) / 10}%`;
  };
}
