// The page: passes samples of the stream and the selection to the panels.

import { Chart } from "./chart.js";
import { find, make, offer, setText } from "./dom.js";
import { bits, packets } from "./format.js";
import { Interfaces } from "./interfaces.js";
import { Drops, Sizes, showHealth, showNow } from "./panels.js";
import { GAP, GROUPS, Past } from "./past.js";
import { Selection } from "./selection.js";
import { Services } from "./services.js";
import { ask, Source } from "./source.js";
import { Talkers } from "./talkers.js";
import { followTheme } from "./theme.js";

const CLASSES = ["physical", "virtual", "loopback"];
const DEVICES = 10; // seconds between requests for the devices' drop counters

let sample = null;
let devices = [];
let devicesAt = 0;
let loaded = null; // the scope whose history is in the charts

const selection = new Selection(() => select());
const past = new Past();
const charts = [
  new Chart(find("bytes-chart"), find("bytes-text"), "bytes", bits),
  new Chart(find("packets-chart"), find("packets-text"), "packets", packets),
];
const interfaces = new Interfaces(selection);
const services = new Services(selection);
const talkers = new Talkers(selection);
const drops = new Drops();
const sizes = new Sizes();
const source = new Source(take, showState);

function scope() {
  const classes = CLASSES.filter((name) => sample.status.classes[name]);
  return selection.get("of") || classes[0] || "physical";
}

// Returns the interfaces in scope. Of a class, those with ports are left out: their packets are at the ports.
function counted() {
  const of = scope();
  return sample.interfaces.filter((one) =>
    of.startsWith("if:") ? one.name === of.slice(3) : one.class === of && one.state !== "gone" && one.ports === 0,
  );
}

const titleOf = (of) => (of.startsWith("if:") ? of.slice(3) : `${of} interfaces`);

async function take(told) {
  const missed = missedBefore(told);
  sample = told;
  if (missed) loaded = null;
  if (missed) await loadMinutes().catch(() => {});
  else interfaces.minutes.take(told.interfaces);
  services.minutes.take(told.services ?? []);
  if (loaded === scope()) past.add(told, counted());
  else await load();
  if (told.now - devicesAt > DEVICES) {
    devicesAt = told.now;
    ask("drops").then((document) => (devices = document.devices), () => {});
  }
  show();
}

// Returns whether the history has more than the page: at the start and after a pause. After a restart of the
// service it has less.
function missedBefore({ now, status }) {
  return !sample || (now - sample.now > GAP && status.started === sample.status.started);
}

// Loads the past minute of the sparklines.
async function loadMinutes() {
  const document = await ask("history?seconds=60");
  const minutes = Object.entries(document.interfaces).map(([name, told]) => {
    const series = [told.ingress, told.egress].flatMap((x) => Object.values(x?.protocols ?? {}));
    const sum = (i) =>
      series.reduce((all, { bytes }) => (bytes[i] === null ? all : (all ?? 0) + bytes[i]), null);
    return [name, Array.from({ length: document.length }, (_, i) => sum(i))];
  });
  interfaces.minutes.remember(new Map(minutes));
}

async function load() {
  const of = scope();
  loaded = of;
  try {
    await past.load(counted().map((one) => one.name));
    past.add(sample, counted());
  } catch {
    loaded = null; // retried at the next sample
  }
}

// Returns the drop reasons that closing a socket causes.
const harmless = (drops) => new Set(drops.filter((drop) => drop.harmless).map((drop) => drop.reason));

function show() {
  const of = scope();
  const names = sample.interfaces.map((one) => one.name);
  const classes = CLASSES.filter((name) => sample.status.classes[name]);
  const choices = [...classes.map((name) => [name, titleOf(name)]), ...names.map((name) => [`if:${name}`, name])];
  offer(find("scope"), choices, of);
  showNow(sample, counted(), titleOf(of));
  charts.forEach((chart) => chart.show(past));
  talkers.show(sample.flows, names);
  interfaces.show(sample.interfaces, harmless(sample.drops));
  services.show(sample.services);
  drops.show(sample.drops, devices);
  sizes.show(counted(), titleOf(of));
  showHealth(sample.status);
  document.body.dataset.samples = String(Number(document.body.dataset.samples ?? 0) + 1);
}

async function select() {
  source.ask(talkers.query());
  if (!sample) return;
  if (loaded !== scope()) await load();
  show();
}

function showState(text, bad) {
  setText(find("state"), text);
  find("state").className = bad ? "bad" : "";
}

function pause() {
  source.pause(!source.paused);
  find("pause").setAttribute("aria-pressed", String(source.paused));
  setText(find("pause"), source.paused ? "Go on" : "Pause");
}

setText(find("host"), window.location.hostname);
find("legend").append(
  ...GROUPS.map((group) => {
    const item = make("li", { className: group });
    item.append(make("span", { text: group === "other" ? "other" : group.toUpperCase() }));
    return item;
  }),
);
find("pause").addEventListener("click", pause);
find("scope").addEventListener("input", (event) => selection.set({ of: event.target.value }));
followTheme(() => sample && show()); // a canvas does not follow the theme by itself
source.ask(talkers.query());
