-- What is due of each tenant, so that one that has queued much keeps the others waiting for its turn alone.
CREATE INDEX delivery_queue_by_tenant ON delivery_queue (tenant_id, due_at);
