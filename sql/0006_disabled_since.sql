-- Since when an endpoint is disabled, for its owner to see, and why where the owner did it.
alter table tallystick.webhook_endpoints add column disabled_at timestamptz(3);
update tallystick.webhook_endpoints
  set disabled_at = updated_at,
    disabled_reason = coalesce(disabled_reason, 'It was disabled over the API.')
  where status = 'disabled';
