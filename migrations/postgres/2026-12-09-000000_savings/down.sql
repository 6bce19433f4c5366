DROP TABLE savings_queue;
DROP TABLE savings_reports;
DROP TABLE savings_projects;
