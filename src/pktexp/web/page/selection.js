// The selection, kept in the address: links and the Back button restore it.

export const DEFAULTS = {
  of: "",            // traffic shown: a class, or "if:NAME" for an interface; "" is the first class present
  sort: "received",  // column of the interfaces table
  down: "1",         // 1: the largest first
  find: "",          // search text for interfaces
  "service-sort": "sent", // column of the services table
  "service-down": "1",
  "service-find": "", // search text for services
  view: "conversations", // or "flows": talkers at every interface
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

  // With `typing`, replaces the entry in the browser's history, so that Back skips single letters.
  set(values, typing = false) {
    Object.assign(this.#values, values);
    const changed = Object.entries(this.#values).filter(([name, value]) => value !== DEFAULTS[name]);
    const query = new URLSearchParams(changed).toString();
    const address = window.location.pathname + (query ? `?${query}` : "");
    window.history[typing ? "replaceState" : "pushState"](null, "", address);
    this.#changed();
  }
}
