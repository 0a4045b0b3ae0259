// What is selected lives in the address, so that a link shows the same and Back goes back.

export const DEFAULTS = {
  of: "",            // whose traffic: a class, or an interface as "if:NAME"; "" is the first class there is
  sort: "received",  // column of the interfaces
  down: "1",         // 1: the largest first
  find: "",          // text within interfaces
  interface: "",
  direction: "",
  protocol: "",
  search: "",
  top: "20",
  by: "bytes_per_second",
};

export class Selection {
  #values = {};
  #changed;

  constructor(changed) {
    this.#changed = changed;
    this.#read();
    window.addEventListener("popstate", () => {
      this.#read();
      this.#changed();
    });
  }

  #read() {
    const given = new URLSearchParams(window.location.search);
    this.#values = { ...DEFAULTS };
    for (const name of Object.keys(DEFAULTS)) if (given.has(name)) this.#values[name] = given.get(name);
  }

  get(name) {
    return this.#values[name];
  }

  // `typing`: text that grows letter by letter takes one step of Back, not many.
  set(values, typing = false) {
    Object.assign(this.#values, values);
    const told = Object.entries(this.#values).filter(([name, value]) => value !== DEFAULTS[name]);
    const query = new URLSearchParams(told).toString();
    const address = window.location.pathname + (query ? `?${query}` : "");
    window.history[typing ? "replaceState" : "pushState"](null, "", address);
    this.#changed();
  }
}
