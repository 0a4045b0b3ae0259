// Events of the API's stream, for as long as somebody looks; main.js hands them to the panels.

const RETRY = 3000; // milliseconds
const LOST = "no connection, trying again";
const SILENCE = 6000; // milliseconds without an event, of which one comes each second

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

  // A connection that leads nowhere any more is no error to EventSource: it just tells nothing.
  #watch(url) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#failed(url), SILENCE);
  }

  // EventSource does not say why it failed: a plain request for the same does.
  async #failed(url) {
    this.#close();
    const timer = setTimeout(() => this.#connect(), RETRY);
    this.#timer = timer;
    this.onState(LOST, true);
    const told = await reason(url);
    if (this.#timer === timer) this.onState(told, true);
  }
}

// Before the next attempt, as what is told later could be wrong by then.
async function reason(url) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), RETRY / 2);
  try {
    const answer = await fetch(url, { cache: "no-store", signal: stop.signal });
    if (answer.status === 401) return "not allowed: reload the page, and log in";
    if (!answer.ok) return `${await sentence(answer)}, trying again`;
  } catch {
    // No answer at all.
  } finally {
    clearTimeout(timer);
    stop.abort(); // a stream that is there again would go on
  }
  return LOST;
}

// The API's own words; a proxy before it has others.
async function sentence(answer) {
  const json = answer.headers.get("Content-Type")?.startsWith("application/json");
  return json ? (await answer.json()).error : `refused with status ${answer.status}`;
}

export async function ask(path) {
  const answer = await fetch(`api/v1/${path}`, { cache: "no-store" });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}
