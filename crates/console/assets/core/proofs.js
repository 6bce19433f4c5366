// Proofs of the audit trail, verified here and not by asking the server: RFC 9162, section 2.1, and C2SP signed notes.

/** @param {string} text */
export const bytesOfHex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));

/** @param {string} text */
export const bytesOfBase64 = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

/** @param {Uint8Array} bytes */
export const hexOf = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** @param {...(Uint8Array | number[])} pieces */
async function sha256(...pieces) {
  const whole = new Uint8Array(pieces.flatMap((piece) => [...piece]));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", whole));
}

/** @param {string} text */
const utf8 = (text) => new TextEncoder().encode(text);

/** The hash of an event as a leaf of the tree. @param {string} event */
export const leafHash = (event) => sha256([0], utf8(event));

/** @param {Uint8Array} left @param {Uint8Array} right */
const nodeHash = (left, right) => sha256([1], left, right);

/** @param {Uint8Array} a @param {Uint8Array} b */
const same = (a, b) => a.length === b.length && a.every((byte, index) => byte === b[index]);

/** Tells whether proofs can be verified in this page: browsers have the means on `https` and `localhost` alone. */
export const canVerify = () => globalThis.crypto?.subtle !== undefined;

/**
 * Computes the root that an inclusion proof leads to (RFC 9162, section 2.1.3.2), or null if the proof has another length.
 * @param {number} index
 * @param {number} size
 * @param {Uint8Array} leaf
 * @param {Uint8Array[]} proof
 */
export async function rootOf(index, size, leaf, proof) {
  if (!(index >= 0 && index < size)) return null;
  let [fn, sn, root] = [index, size - 1, leaf];
  for (const hash of proof) {
    if (sn === 0) return null;
    if (fn % 2 === 1 || fn === sn) {
      root = await nodeHash(hash, root);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)];
    } else root = await nodeHash(root, hash);
    [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)];
  }
  return sn === 0 ? root : null;
}

/**
 * Tells whether a log with one root begins with the log of another (RFC 9162, section 2.1.4.2).
 * @param {{ size: number, root: Uint8Array }} first
 * @param {{ size: number, root: Uint8Array }} second
 * @param {Uint8Array[]} proof
 */
export async function isConsistent(first, second, proof) {
  if (first.size === second.size) return proof.length === 0 && same(first.root, second.root);
  if (first.size === 0 || first.size > second.size || proof.length === 0) return false;
  const path = Number.isInteger(Math.log2(first.size)) ? [first.root, ...proof] : [...proof];
  let [fn, sn] = [first.size - 1, second.size - 1];
  while (fn % 2 === 1) [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)];
  let fr = /** @type {Uint8Array} */ (path[0]);
  let sr = fr;
  for (const hash of path.slice(1)) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      fr = await nodeHash(hash, fr);
      sr = await nodeHash(hash, sr);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)];
    } else sr = await nodeHash(sr, hash);
    [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)];
  }
  return sn === 0 && same(fr, first.root) && same(sr, second.root);
}

/**
 * Reads a checkpoint (C2SP tlog-checkpoint).
 * @param {string} note
 */
export function readCheckpoint(note) {
  const end = note.indexOf("\n\n");
  const [origin = "", size = "", root = ""] = note.slice(0, end).split("\n");
  if (end < 0 || !/^\d+$/.test(size) || root === "") throw new Error("not a checkpoint");
  return { text: note.slice(0, end + 1), origin, size: Number(size), root: bytesOfBase64(root), signatures: note.slice(end + 2) };
}

/**
 * Tells whether a key has signed a note. The key is written as NAME+HASH+KEY (C2SP signed-note).
 * @param {{ text: string, signatures: string }} note
 * @param {string} key
 */
export async function isSigned(note, key) {
  const [name = "", hash = "", ...rest] = key.trim().split("+");
  const typed = bytesOfBase64(rest.join("+"));
  if (typed[0] !== 1 || typed.length !== 33) throw new Error("not an Ed25519 key");
  const known = hexOf((await sha256(utf8(`${name}\n`), typed)).slice(0, 4));
  if (known !== hash) throw new Error("the key does not match its hash");
  const imported = await crypto.subtle.importKey("raw", typed.slice(1), "Ed25519", false, ["verify"]);
  for (const line of note.signatures.split("\n")) {
    const [, signer, signature] = line.match(/^— (\S+) (\S+)$/) ?? [];
    if (signer !== name || !signature) continue;
    const bytes = bytesOfBase64(signature);
    if (hexOf(bytes.slice(0, 4)) !== hash) continue;
    if (await crypto.subtle.verify("Ed25519", imported, bytes.slice(4), utf8(note.text))) return true;
  }
  return false;
}

/** @typedef {"leaf" | "tree" | "signature" | "request" | "document"} Step */

/**
 * Verifies a receipt: that its request's acceptance is among the events that the key has signed.
 * @param {any} receipt
 * @param {string} key
 * @param {unknown} [document] the document as it was stored
 * @returns {Promise<{ step: Step, good: boolean, found: string }[]>}
 */
export async function verifyReceipt(receipt, key, document) {
  const event = JSON.parse(receipt.event);
  const checkpoint = readCheckpoint(receipt.checkpoint);
  const leaf = await leafHash(receipt.event);
  const hashes = receipt.inclusion.hashes.map(bytesOfHex);
  const root = await rootOf(receipt.leaf_index, receipt.inclusion.tree_size, leaf, hashes);
  const isAcceptance = event.action === "accepted" && event.object?.id === receipt.request_id && event.output === receipt.fingerprint && event.tenant_id === receipt.tenant_id;
  /** @type {{ step: Step, good: boolean, found: string }[]} */
  const steps = [
    { step: "request", good: isAcceptance, found: `${receipt.request_id} · ${event.at}` },
    { step: "leaf", good: hexOf(leaf) === receipt.leaf_hash, found: hexOf(leaf) },
    { step: "tree", good: checkpoint.size === receipt.inclusion.tree_size && root !== null && same(root, checkpoint.root), found: root ? hexOf(root) : "–" },
    { step: "signature", good: await isSigned(checkpoint, key), found: key.trim() },
  ];
  if (document !== undefined) {
    const fingerprint = await fingerprintOf(document);
    steps.push({ step: "document", good: fingerprint === receipt.fingerprint, found: fingerprint });
  }
  return steps;
}

/** @param {unknown} document */
export const fingerprintOf = async (document) => `sha256:${hexOf(await sha256(utf8(canonical(document))))}`;

/**
 * Writes JSON in its canonical form (RFC 8785): JavaScript's own numbers and strings, members by their UTF-16 units.
 * @param {any} value
 * @returns {string}
 */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`);
  return `{${members.join(",")}}`;
}
