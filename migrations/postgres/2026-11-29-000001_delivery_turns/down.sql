DROP INDEX delivery_queue_by_tenant;
