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
 * Reads rows of CSV (RFC 4180).
 * @param {string} text
 * @param {string} delimiter
 * @param {number} most
 */
export function cells(text, delimiter, most) {
  const rows = [];
  let row = [];
  let cell = "";
  let quoted = false;
  for (let at = 0; at < text.length && rows.length < most; at += 1) {
    const sign = text[at];
    if (quoted) {
      if (sign !== '"') cell += sign;
      else if (text[at + 1] === '"') {
        cell += '"';
        at += 1;
      } else quoted = false;
    } else if (sign === '"' && cell === "") quoted = true;
    else if (sign === delimiter) {
      row.push(cell);
      cell = "";
    } else if (sign === "\n") {
      row.push(cell.replace(/\r$/, ""));
      rows.push(row);
      row = [];
      cell = "";
    } else cell += sign;
  }
  return rows;
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
