// Who is logged in. The access token stays in memory; the refresh token in a cookie that no script can read.
import { credentials, get } from "./api.js";
import { recall, store } from "./choices.js";
import { signal } from "./view.js";

/**
 * @typedef {{ id: string, kind: string, email?: string, tenant_id: string, roles: string[], permissions: string[],
 *   second_factor?: { required: boolean, enrolled: boolean, fresh_until: string | null } }} Caller
 */

/** @type {import("../vendor/signals.js").Signal<Caller | null>} */
export const caller = signal(/** @type {Caller | null} */ (null));

/** True if a session has ended by itself. */
export const expired = signal(false);

/** Takes whether the second factor was proved, which a call waits for; a dialog asks for the code. */
export const awaited = signal(/** @type {((isProved: boolean) => void) | null} */ (null));

credentials.prove = () =>
  new Promise((resolve) => {
    const before = awaited.value;
    awaited.value = (isProved) => {
      before?.(isProved);
      resolve(isProved);
    };
  });

/** The header without which the cookie is not taken. */
const SESSION = { "X-Mass-Session": "cookie" };

/** @param {string} permission */
export const can = (permission) => caller.value?.permissions.includes(permission) ?? false;

/**
 * Runs one refresh at a time, over all tabs: the cookie's token is good once.
 * @param {() => Promise<boolean>} work
 */
const alone = (work) => (navigator.locks ? navigator.locks.request("mass-session", work) : work());

/** @type {Promise<boolean> | null} */
let renewing = null;

credentials.renew = () => {
  renewing ??= alone(renew).finally(() => (renewing = null));
  return renewing;
};

async function renew() {
  if (recall("session") === null) return false;
  try {
    const options = { method: "POST", json: { remember: "cookie" }, headers: SESSION, anonymous: true };
    credentials.token = (await get("/v1/auth/refresh", options)).access_token;
    return true;
  } catch (error) {
    const status = /** @type {import("./api.js").Problem} */ (error).status;
    if (status === 0 || status >= 500 || status === 429) throw error;
    store("session", null);
    return false;
  }
}

credentials.ended = () => {
  expired.value = caller.value !== null;
  credentials.token = null;
  caller.value = null;
};

/** Goes on with the session of the cookie, if there is one. */
export async function resume() {
  if (await credentials.renew()) caller.value = await get("/v1/auth/me");
}

/**
 * @param {string} email
 * @param {string} password
 * @param {string} [code] of the second factor
 */
export async function logIn(email, password, code) {
  const json = { email, password, remember: "cookie", ...(code ? { code } : {}) };
  const tokens = await get("/v1/auth/login", { method: "POST", json, anonymous: true, headers: SESSION });
  credentials.token = tokens.access_token;
  store("session", "cookie");
  expired.value = false;
  await readCaller();
}

/** Reads anew what the caller may do. */
export async function readCaller() {
  caller.value = await get("/v1/auth/me");
}

export async function logOut() {
  try {
    await get("/v1/auth/logout", { method: "POST", headers: SESSION });
  } finally {
    store("session", null);
    credentials.token = null;
    expired.value = false;
    caller.value = null;
  }
}

// A log-out in one tab is one in all.
addEventListener("storage", (event) => {
  if (event.key === "mass.session" && event.newValue === null && caller.value) {
    credentials.token = null;
    caller.value = null;
  }
});
