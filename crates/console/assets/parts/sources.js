// The state of a site, by its own reports or else by its devices'.

/** @param {string | undefined} instant */
const time = (instant) => (instant ? Date.parse(instant) : Number.NaN);

/** From the best to the worst. */
const ORDER = ["fresh", "late", "silent"];

/**
 * Returns the state that a site shows: of its own reports, and where it has none, of the devices that report for it.
 * @param {any} site
 * @param {any[]} devices
 */
export function stateOf(site, devices) {
  if (site.state) return site.state;
  const states = devices.filter((device) => device.site_id === site.site_id && device.state).map((device) => device.state);
  if (states.length === 0) return null;
  const by = (/** @type {string} */ member) => states.map((state) => state[member]).filter((instant) => Number.isFinite(time(instant))).sort();
  return {
    freshness: ORDER.find((name) => states.some((state) => state.freshness === name)) ?? "silent",
    first_seen: by("first_seen")[0], last_seen: by("last_seen").at(-1), values: added(states.flatMap((state) => state.values)),
  };
}

/** Powers of devices that were measured at once are those of the site when added up. @param {any[]} values */
function added(values) {
  return ["facility_power_kw", "it_power_kw", "hvac_power_kw"].flatMap((metric) => {
    const all = values.filter((value) => value.metric === metric);
    if (all.length === 0) return [];
    const at = all.map((value) => value.at).sort().at(-1);
    return [{ metric, kind: "power", unit: "kW", at, value: all.reduce((sum, value) => sum + value.value, 0) }];
  });
}

/**
 * Returns the PUE of the latest values, or null.
 * @param {any} state
 */
export function latestPue(state) {
  const last = (/** @type {string} */ metric) => state?.values.find((/** @type {any} */ value) => value.metric === metric);
  const own = last("pue");
  if (own) return own.value;
  const [facility, it] = [last("facility_power_kw"), last("it_power_kw")];
  return facility && it?.value > 0 && facility.at === it.at ? facility.value / it.value : null;
}
