-- What callers say of a credit or a debit, for people.
alter table tallystick.transactions add column description text;
