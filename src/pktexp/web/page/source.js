// Reads the API's stream while the page is visible, and reconnects after failures.

const RETRY = 3000; // milliseconds
const LOST = "no connection, trying again";
const SILENCE = 6000; // milliseconds without an event, of which one is due each second

export class Source {
  #stream = null;
  #timer = 0;
  #query = null;
  #paused = false;

  // Calls onEvent(sample) for each event, and onState(text, bad) with the state for people.
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

  // Reads the stream with `query`, the URLSearchParams of the flows.
  ask(query) {
    if (String(query) === String(this.#query)) return;
    this.#query = query;
    this.#connect();
  }

  #close() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#stream?.close();
    this.#stream = null;
  }

  #connect() {
    this.#close();
    if (this.#paused) return this.onState("paused", false);
    if (document.hidden || this.#query === null) return undefined;
    const url = `api/v1/stream?${this.#query}`;
    const stream = new EventSource(url);
    this.#stream = stream;
    stream.addEventListener("sample", (event) => {
      this.#watch(url);
      this.onState("live", false);
      this.onEvent(JSON.parse(event.data));
    });
    stream.onerror = () => this.#failed(url);
    this.#watch(url);
    return undefined;
  }

  // EventSource raises no error for a dead connection; only silence reveals it.
  #watch(url) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#failed(url), SILENCE);
  }

  // EventSource gives no reason for a failure; a plain request for the same URL does.
  async #failed(url) {
    this.#close();
    const timer = setTimeout(() => this.#connect(), RETRY);
    this.#timer = timer;
    this.onState(LOST, true);
    const text = await reason(url);
    if (this.#timer === timer) this.onState(text, true);
  }
}

// Returns the reason of a failure, or gives up before the next attempt outdates it.
async function reason(url) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), RETRY / 2);
  try {
    const answer = await fetch(url, { cache: "no-store", signal: stop.signal });
    if (answer.status === 401) return "not allowed: reload the page, and log in";
    if (!answer.ok) return `${await sentence(answer)}, trying again`;
  } catch {
    // No response.
  } finally {
    clearTimeout(timer);
    stop.abort(); // a stream that works again would continue
  }
  return LOST;
}

// Returns the API's error sentence; a proxy's error has none.
async function sentence(answer) {
  const json = answer.headers.get("Content-Type")?.startsWith("application/json");
  return json ? (await answer.json()).error : `refused with status ${answer.status}`;
}

export async function ask(path) {
  const answer = await fetch(`api/v1/${path}`, { cache: "no-store" });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}
