// Calls of the public API: the token, problems as errors, and nothing that a script could not do as well.

/**
 * @typedef {{ pointer: string, code: string, detail: string, stage?: string, expected?: string | null, actual?: string | null }} Violation
 * @typedef {{ type?: string, title: string, status: number, detail?: string | null, request_id?: string,
 *   violations?: Violation[], retry_after_seconds?: number, [member: string]: unknown }} ProblemDocument
 */

/** An answer that is no success. */
export class Problem extends Error {
  /** @param {ProblemDocument} document */
  constructor(document) {
    super(document.title);
    this.document = document;
    this.status = document.status;
    this.kind = (document.type ?? "").split("/").pop() ?? "";
  }
}

/** Where the API is: beside the page. */
export const base = new URL(".", document.baseURI).href;

/** @type {{ token: string | null, renew: () => Promise<boolean>, prove: () => Promise<boolean>, ended: () => void }} */
export const credentials = { token: null, renew: async () => false, prove: async () => false, ended: () => {} };

/**
 * @typedef {{ method?: string, query?: Record<string, unknown>, json?: unknown, body?: BodyInit, headers?: Record<string, string>,
 *   signal?: AbortSignal, anonymous?: boolean }} Options
 */

/** @param {Record<string, unknown>} query */
export function search(query) {
  const pairs = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") pairs.set(name, String(value));
  }
  const text = pairs.toString();
  return text ? `?${text}` : "";
}

/**
 * Calls an operation, once more with a renewed token if the present one has ended, or once the second factor is proved anew.
 * @param {string} path
 * @param {Options} [options]
 * @returns {Promise<Response>}
 */
export async function call(path, options = {}) {
  let response = await send(path, options);
  if (response.status === 401 && !options.anonymous) {
    if (!(await credentials.renew())) {
      credentials.ended();
      throw await problemOf(response);
    }
    response = await send(path, options);
  }
  if (!response.ok) {
    const problem = await problemOf(response);
    const needsProof = problem.kind === "second-factor-required" && problem.document.needs === "proof";
    if (!needsProof || !(await credentials.prove())) throw problem;
    response = await send(path, options);
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

/**
 * @param {string} path
 * @param {Options} options
 */
async function send(path, { method = "GET", query = {}, json, body, headers = {}, signal, anonymous }) {
  const sent = new Headers({ Accept: "application/json", ...headers });
  if (credentials.token && !anonymous) sent.set("Authorization", `Bearer ${credentials.token}`);
  if (json !== undefined) sent.set("Content-Type", "application/json");
  try {
    return await fetch(base + path.slice(1) + search(query), {
      method, headers: sent, signal: signal ?? null, body: json === undefined ? (body ?? null) : JSON.stringify(json), cache: "no-store",
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem({ title: "", status: 0, type: "offline" });
  }
}

/** @param {Response} response */
async function problemOf(response) {
  const text = await response.text();
  return new Problem(problemDocument(text, response.status));
}

/**
 * @param {string} text
 * @param {number} status
 * @returns {ProblemDocument}
 */
export function problemDocument(text, status) {
  try {
    const found = JSON.parse(text);
    if (typeof found?.title === "string") return { ...found, status };
  } catch {
    // Not of MASS, such as a proxy's page.
  }
  return { title: `HTTP ${status}`, status };
}

/**
 * Calls an operation and reads its JSON.
 * @param {string} path
 * @param {Options} [options]
 * @returns {Promise<any>}
 */
export async function get(path, options) {
  const response = await call(path, options);
  return response.status === 204 ? null : response.json();
}

/**
 * Calls an operation that answers with a file, and hands it to the user.
 * @param {string} path
 * @param {string} name
 * @param {Options} [options]
 */
export async function download(path, name, options) {
  const response = await call(path, options);
  handOver(await response.blob(), name);
}

/**
 * @param {Blob} blob
 * @param {string} name
 */
export function handOver(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Writes an id or a name into a path. */
export const part = encodeURIComponent;
