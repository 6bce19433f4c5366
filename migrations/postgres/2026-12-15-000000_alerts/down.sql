DROP TABLE alert_queue;
DROP TABLE alerts;
DROP TABLE alert_rules;
