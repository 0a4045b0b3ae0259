// Events of the API's stream, for as long as somebody looks; main.js hands them to the panels.

const RETRY = 3000; // milliseconds

export class Source {
  #stream = null;
  #timer = 0;
  #query = null;
  #paused = false;

  // onEvent(sample); onState(text, bad): what goes on, for people.
  constructor(onEvent, onState) {
    this.onEvent = onEvent;
    this.onState = onState;
    document.addEventListener("visibilitychange", () => this.#connect());
  }

  get paused() {
    return this.#paused;
  }

  pause(paused) {
    this.#paused = paused;
    this.#connect();
  }

  // `query`: URLSearchParams of the flows.
  ask(query) {
    if (String(query) === String(this.#query)) return;
    this.#query = query;
    this.#connect();
  }

  #close() {
    clearTimeout(this.#timer);
    this.#stream?.close();
    this.#stream = null;
  }

  #connect() {
    this.#close();
    if (this.#paused) return this.onState("paused", false);
    if (document.hidden || this.#query === null) return undefined;
    const stream = new EventSource(`api/v1/stream?${this.#query}`);
    this.#stream = stream;
    stream.addEventListener("sample", (event) => {
      this.onState("live", false);
      this.onEvent(JSON.parse(event.data));
    });
    stream.onerror = () => this.#failed(`api/v1/flows?${this.#query}`);
    return undefined;
  }

  // EventSource does not say why it failed: a plain request does.
  async #failed(url) {
    this.#close();
    this.#timer = setTimeout(() => this.#connect(), RETRY);
    const told = await reason(url);
    if (!this.#paused) this.onState(told, true);
  }
}

async function reason(url) {
  try {
    const answer = await fetch(url, { cache: "no-store" });
    if (answer.status === 401) return "not allowed: reload the page, and log in";
    if (answer.status === 400) return (await answer.json()).error;
  } catch {
    // No answer at all, like every other reason.
  }
  return "no connection, trying again";
}

export async function ask(path) {
  const answer = await fetch(`api/v1/${path}`, { cache: "no-store" });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}
