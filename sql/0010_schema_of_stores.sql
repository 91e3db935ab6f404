-- Of which version the schema is, in the row that every batch reads anyway. Each migration from
-- this one on writes its own version into it; see src/store/migrate.ts.
alter table tallystick.stores add column schema integer not null default 10;
