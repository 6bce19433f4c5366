// What must hold after the blocks of docs/clients.md; `run` appends this to them.

import assert from "node:assert/strict";

assert.equal(sent.response.status, 201);
assert.equal(sent.data.status, "pending");
assert(sent.data.warnings.some((warning) => warning.pointer === "/timestamp"));
assert.deepEqual(stored.data?.document.metrics, reading.metrics);

assert.equal(refused.response.status, 422);
assert.equal(refused.error?.type, "/problems/contract-violation");
assert.deepEqual(refused.error.violations?.map(({ pointer, code }) => [pointer, code]), [
  ["/metrics/humidity_percent", "range"],
]);

assert.deepEqual(lines.slice(0, -1).map((line) => line.outcome), ["accepted", "accepted"]);
assert.equal(totals?.accepted, 2);

// Two pages.
assert.equal(found.length, 3);
assert.equal(found.at(-1)?.id, id);

const again = await mass.POST("/v1/mass-requests", { body: reading });
assert.equal(again.response.status, 200);
assert.equal(again.data?.outcome, "duplicate");
const events = await mass.GET("/v1/mass-requests/{id}/events", { params: { path: { id } } });
assert.deepEqual(events.data?.items.map((event) => event.type), ["accepted"]);
