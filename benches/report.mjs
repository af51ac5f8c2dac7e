// Rows of results: as a table, and as target/bench.json.

import fs from "node:fs";

/** The middle of some numbers, or another quantile (nearest rank). */
export function quantile(values, q = 0.5) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length === 0 ? null : sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))];
}

export class Report {
  #rows = [];

  /**
   * Adds a row. `name` says what was measured and, once used, keeps its meaning; `contestant` who was measured.
   * `ratioTo` names the contestant whose value of that name this one is divided by; `bar` is the greatest value that is
   * promised; `note` is printed beside it.
   */
  add(name, contestant, value, unit, { ratioTo = null, bar = null, note = "" } = {}) {
    this.#rows.push({ name, contestant, value, unit, ratioTo, bar, note });
  }

  #ratio({ name, value, ratioTo }) {
    const peer = this.#rows.find((row) => row.name === name && row.contestant === ratioTo);
    return peer?.value > 0 && value !== null ? value / peer.value : null;
  }

  /** Writes a list of { name, contestant, value, unit, ratio_to, ratio }. */
  write(file) {
    const list = this.#rows.map((row) => {
      const ratio = this.#ratio(row);
      const { name, contestant, value, unit, ratioTo } = row;
      return { name, contestant, value, unit, ratio_to: ratio === null ? null : ratioTo, ratio };
    });
    fs.writeFileSync(file, `${JSON.stringify(list, null, 2)}\n`);
  }

  print() {
    const missed = [];
    const lines = this.#rows.map((row) => {
      const { name, contestant, value, unit, ratioTo, bar, note } = row;
      const ratio = this.#ratio(row);
      let verdict = "";
      if (bar !== null) {
        const met = value !== null && value <= bar;
        verdict = `≤ ${digits(bar)} ${met ? "met" : "MISSED"}`;
        if (!met) missed.push(`${name} (${digits(value)} ${unit}, should be ≤ ${digits(bar)})`);
      }
      return [name, contestant, digits(value), unit, ratio === null ? "" : `${digits(ratio)} × ${ratioTo}`, verdict, note];
    });
    table(["name", "contestant", "value", "unit", "ratio", "bar", "note"], lines, 2);
    const bars = this.#rows.filter(({ bar }) => bar !== null).length;
    if (missed.length > 0) console.log(`\n${missed.length} of ${bars} bars MISSED: ${missed.join("; ")}.`);
    else if (bars > 0) console.log(`\nAll ${bars} bars are met.`);
  }
}

/** Three significant digits, whole numbers in full. */
export function digits(value) {
  if (value === null) return "–";
  if (Number.isInteger(value)) return String(value);
  if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential(1);
  return Math.abs(value) >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}

function table(heads, lines, right) {
  const widths = heads.map((head, column) => Math.max(...[heads, ...lines].map((line) => line[column].length)));
  const pad = (text, column) => (column === right ? text.padStart(widths[column]) : text.padEnd(widths[column]));
  const put = (line) => console.log(line.map(pad).join("  ").trimEnd());
  console.log();
  put(heads);
  put(widths.map((width) => "─".repeat(width)));
  lines.forEach(put);
}
