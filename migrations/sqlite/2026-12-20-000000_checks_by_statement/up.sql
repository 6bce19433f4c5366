-- SQLite keeps the keys: it cannot drop one without copying its table, and looking one up costs it little.
SELECT 1;
