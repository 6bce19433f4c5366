DROP TABLE recommendations;
DROP TABLE delivery_queue;
DROP TABLE deliveries;
