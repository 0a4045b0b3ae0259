// Formats numbers with three significant figures and a unit.

const SI = ["", "k", "M", "G", "T", "P"];
const IEC = ["B", "KiB", "MiB", "GiB", "TiB"];
export const NOTHING = "–";

function scaled(value, step, units) {
  let power = 0;
  let rest = Math.abs(value);
  while (rest >= step * 0.9995 && power < units.length - 1) {
    rest /= step;
    power += 1;
  }
  const digits = power === 0 && Number.isInteger(value) ? 0 : rest < 9.995 ? 2 : rest < 99.95 ? 1 : 0;
  return [`${value < 0 ? "−" : ""}${rest.toFixed(digits)}`, units[power]];
}

function si(value, unit) {
  if (value === null || value === undefined) return NOTHING;
  const [number, prefix] = scaled(value, 1000, SI);
  return `${number} ${prefix}${unit}`.trim();
}

export const bits = (bytesPerSecond) =>
  si(bytesPerSecond === null || bytesPerSecond === undefined ? null : bytesPerSecond * 8, "bit/s");
export const packets = (perSecond) => si(perSecond, "pps");
export const count = (number) => si(number, "");
export const bytes = (number) => si(number, "B");

export function memory(number) {
  return number === null || number === undefined ? NOTHING : scaled(number, 1024, IEC).join(" ");
}

export function percent(share) {
  return share === null || share === undefined ? NOTHING : `${share.toFixed(share < 10 ? 1 : 0)} %`;
}

export function duration(seconds) {
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = Math.max(units.findIndex(([, size]) => seconds >= size), 0);
  let rest = Math.floor(seconds);
  return units
    .slice(seconds < 1 ? 3 : first)
    .slice(0, 2)
    .map(([unit, size]) => {
      const n = Math.floor(rest / size);
      rest -= n * size;
      return `${n} ${unit}`;
    })
    .join(" ");
}
