-- Nothing may change or remove what was posted. Distributing over Citus drops these triggers,
-- which it refuses; there the server's role is denied UPDATE and DELETE instead.
create function tallystick.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only: post a reversal instead', tg_table_name
    using errcode = 'restrict_violation';
end
$$;
create trigger transactions_append_only before update or delete or truncate on tallystick.transactions
  for each statement execute function tallystick.refuse_change();
create trigger entries_append_only before update or delete or truncate on tallystick.entries
  for each statement execute function tallystick.refuse_change();
