// A long upload, with its progress.
import { base, credentials, Problem, problemDocument, search } from "./api.js";

/**
 * Sends a file and reads the answer as JSON.
 * @param {string} path
 * @param {{ query: Record<string, unknown>, body: Blob, type: string, onProgress: (share: number) => void, signal: AbortSignal }} options
 * @returns {Promise<any>}
 */
export async function upload(path, { query, body, type, onProgress, signal }) {
  // A token of the last minutes would end in the middle.
  await credentials.renew();
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", base + path.slice(1) + search(query));
    request.setRequestHeader("Authorization", `Bearer ${credentials.token}`);
    request.setRequestHeader("Content-Type", type);
    request.setRequestHeader("Accept", "application/json");
    request.upload.addEventListener("progress", (event) => onProgress(event.total > 0 ? event.loaded / event.total : 0));
    request.addEventListener("load", () => {
      const isGood = request.status >= 200 && request.status < 300;
      if (isGood) resolve(JSON.parse(request.responseText));
      else reject(new Problem(problemDocument(request.responseText, request.status)));
    });
    request.addEventListener("error", () => reject(new Problem({ title: "", status: 0, type: "offline" })));
    request.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
    signal.addEventListener("abort", () => request.abort());
    request.send(body);
  });
}
