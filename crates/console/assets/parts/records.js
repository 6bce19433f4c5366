// The first records of a file, as far as a browser can tell: for a look before the import.

/** @typedef {{ form: "ndjson" | "json" | "csv" | "other", delimiter: string, records: unknown[], header: string[], rows: string[][] }} Preview */

/** The contracts of documents. */
export const CONTRACTS = ["device/2.0", "device/1.1", "enterprise/1.1", "simple/1.0"];

/** The part of a file that is looked at. */
export const HEAD_BYTES = 256 * 1024;
const MOST = 20;

/**
 * Tells the form of a file by its name and its begin.
 * @param {string} name
 * @param {string} text
 * @returns {Preview}
 */
export function preview(name, text) {
  const begin = text.trimStart().slice(0, 1);
  const empty = { delimiter: ",", records: [], header: [], rows: [] };
  if (begin === "[") return { ...empty, form: "json", records: recordsOfList(text) };
  if (begin === "{") return { ...empty, form: "ndjson", records: recordsOfLines(text) };
  if (/\.(csv|tsv|txt)$/i.test(name) || /[,;\t]/.test(text.split("\n", 1)[0] ?? "")) {
    const delimiter = delimiterOf(text.split("\n", 1)[0] ?? "");
    const [header = [], ...rows] = cells(text, delimiter, MOST + 1);
    return { ...empty, form: "csv", delimiter, header, rows };
  }
  return { ...empty, form: "other" };
}

/** @param {string} text */
function recordsOfLines(text) {
  return text.split("\n").filter((line) => line.trim()).slice(0, MOST).flatMap((line) => {
    try {
      return [JSON.parse(line)];
    } catch {
      return [];
    }
  });
}

/** @param {string} text */
function recordsOfList(text) {
  try {
    return JSON.parse(text).slice(0, MOST);
  } catch {
    // Longer than what is looked at: the server reads it all the same.
    return [];
  }
}

/** @param {string} line */
function delimiterOf(line) {
  const count = (/** @type {string} */ sign) => line.split(sign).length;
  return [",", ";", "\t"].sort((a, b) => count(b) - count(a))[0] ?? ",";
}

/**
 * Reads rows of CSV (RFC 4180), each with the line on which it begins, from 1. The last row may lack its line break.
 * @param {string} text
 * @param {string} delimiter
 * @returns {Generator<{ line: number, cells: string[], isWhole: boolean }>}
 */
function* rowsOf(text, delimiter) {
  let cells = /** @type {string[]} */ ([]);
  let cell = "";
  let quoted = false;
  let [line, begin] = [1, 1];
  for (let at = 0; at < text.length; at += 1) {
    const sign = text[at];
    if (sign === "\n") line += 1;
    if (quoted) {
      if (sign !== '"') cell += sign;
      else if (text[at + 1] === '"') {
        cell += '"';
        at += 1;
      } else quoted = false;
    } else if (sign === '"' && cell === "") quoted = true;
    else if (sign === delimiter) {
      cells.push(cell);
      cell = "";
    } else if (sign === "\n") {
      yield { line: begin, cells: [...cells, cell.replace(/\r$/, "")], isWhole: true };
      [cells, cell, begin] = [[], "", line];
    } else cell += sign;
  }
  if (cell !== "" || cells.length > 0) yield { line: begin, cells: [...cells, cell], isWhole: false };
}

/**
 * Reads the first rows of CSV, without one that may be cut off.
 * @param {string} text
 * @param {string} delimiter
 * @param {number} most
 */
export function cells(text, delimiter, most) {
  const rows = [];
  for (const row of rowsOf(text, delimiter)) {
    if (rows.length === most || !row.isWhole) break;
    rows.push(row.cells);
  }
  return rows;
}

/**
 * Returns the rows of CSV that begin on these lines.
 * @param {string} text
 * @param {string} delimiter
 * @param {Set<number>} lines
 * @returns {Map<number, string[]>}
 */
export function rowsAt(text, delimiter, lines) {
  const found = new Map();
  for (const { line, cells } of rowsOf(text, delimiter)) {
    if (lines.has(line)) found.set(line, cells);
    if (found.size === lines.size) break;
  }
  return found;
}

/**
 * Makes the documents that the server makes of rows whose columns are members with dots.
 * @param {string[]} header
 * @param {string[]} row
 */
export function documentOf(header, row) {
  /** @type {Record<string, any>} */
  const document = {};
  header.forEach((name, index) => {
    const text = row[index] ?? "";
    if (text === "") return;
    const path = name.split(".");
    const last = /** @type {string} */ (path.pop());
    let place = document;
    for (const member of path) place = place[member] ??= {};
    if (typeof place === "object") place[last] = name.startsWith("metrics.") || name.startsWith("payload.") ? valueOf(text) : text;
  });
  return document;
}

/** @param {string} text */
const valueOf = (text) => (/^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(text) ? Number(text) : text);
