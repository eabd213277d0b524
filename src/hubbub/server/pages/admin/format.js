/** Figures as people read them. */

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const fine = new Intl.NumberFormat("en", { maximumSignificantDigits: 2 });

/** 12,345; past a million 1.2M. */
export const count = (value) => (value < 1e6 ? plain : short).format(value);

/** Something per second. */
export const rate = (value) => `${value < 10 && value > 0 ? fine.format(value) : count(value)}/s`;

/** Bytes as KiB and MiB. */
export function bytes(value) {
  for (const unit of ["B", "KiB", "MiB"]) {
    if (value < 1024) return `${value < 10 && unit !== "B" ? fine.format(value) : plain.format(value)} ${unit}`;
    value /= 1024;
  }
  return `${value < 10 ? fine.format(value) : plain.format(value)} GiB`;
}

/** Seconds as milliseconds. */
export function milliseconds(value) {
  const ms = value * 1000;
  return ms < 0.1 && ms > 0 ? "<0.1 ms" : `${ms < 10 ? fine.format(ms) : plain.format(ms)} ms`;
}

/** A part of one. */
export const percent = (value) => `${plain.format(value * 100)} %`;

/** Seconds that something is old. */
export function age(seconds) {
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = parts.findIndex(([size]) => seconds >= size);
  if (first < 0) return "0 s";
  const [size, unit] = parts[first];
  const [next, nextUnit] = parts[first + 1] ?? [0, ""];
  const rest = next ? Math.floor((seconds % size) / next) : 0;
  return `${Math.floor(seconds / size)} ${unit}${rest ? ` ${rest} ${nextUnit}` : ""}`;
}
