import type { Uuid } from '../../core/id.js';
import { jsonColumn, plainColumn, textColumn } from '../engine/db.js';

/** The kinds of columns: how a value of each is sent, selected and read. */

/**
 * One column of a table.
 *
 * `array` writes it of many rows as a PostgreSQL array literal; `select` makes of an expression the
 * one that the driver hands over without loss, and `read` makes a value of what it handed over.
 */
export interface Column<Value> {
  readonly name: string;
  readonly type: string;
  readonly isOptional: boolean;
  array<Row>(rows: readonly Row[], value: (row: Row) => Value): string;
  select(expression: string): string;
  read(selected: unknown): Value;
}

type Plain = string | number | bigint;

/** Where a value is sent as text that needs no quoting. */
interface PlainKind<Value> {
  readonly type: string;
  send(value: Value): Plain;
  select(expression: string): string;
  read(selected: never): Value;
}

const asItIs = (expression: string) => expression;
const asText = (expression: string) => `${expression}::text`;

const UUID: PlainKind<Uuid> = {
  type: 'uuid',
  send: (value) => value,
  select: asItIs,
  read: (value: Uuid) => value,
};
const AMOUNT: PlainKind<bigint> = {
  type: 'numeric',
  send: (value) => value,
  select: asText,
  read: (text: string) => BigInt(text),
};
const COUNT: PlainKind<number> = {
  type: 'bigint',
  send: (value) => value,
  select: asText,
  read: (text: string) => Number(text),
};
const INSTANT: PlainKind<number> = {
  type: 'timestamptz',
  send: (value) => isoInstant(value),
  select: epochOf,
  read: (text: string) => Number(text),
};

function plain<Value>(name: string, kind: PlainKind<Value>): Column<Value> {
  const { type, send, select, read } = kind;
  return {
    name,
    type,
    isOptional: false,
    array: (rows, value) => plainColumn(rows, (row) => send(value(row))),
    select,
    read: read as (selected: unknown) => Value,
  };
}

/** The same where there may be no value. */
function optional<Value>(name: string, kind: PlainKind<Value>): Column<Value | null> {
  const { send } = kind;
  return {
    ...plain<Value | null>(name, kind as PlainKind<Value | null>),
    isOptional: true,
    array: (rows, value) =>
      plainColumn(rows, (row) => {
        const item = value(row);
        return item === null ? null : send(item);
      }),
    read: (selected) => (selected === null ? null : kind.read(selected as never)),
  };
}

export const uuid = (name: string) => plain(name, UUID);
export const optionalUuid = (name: string) => optional(name, UUID);
/** An amount in an account's unit, sent and read as decimal text. */
export const amount = (name: string) => plain(name, AMOUNT);
export const optionalAmount = (name: string) => optional(name, AMOUNT);
/** A number that may outgrow 32 bits. */
export const count = (name: string) => plain(name, COUNT);
export const optionalCount = (name: string) => optional(name, COUNT);
/** A time, as milliseconds since the Unix epoch. */
export const instant = (name: string) => plain(name, INSTANT);
export const optionalInstant = (name: string) => optional(name, INSTANT);

const given = <Value>(type: string, send: (value: Value) => Plain): PlainKind<Value> => ({
  type,
  send,
  select: asItIs,
  read: (value: Value) => value,
});

/** A number of 16 or 32 bits. */
export const small = (name: string, type: 'smallint' | 'integer') =>
  plain<number>(name, { type, send: (value) => value, select: asItIs, read: Number });
export const flag = (name: string) => plain(name, given<boolean>('boolean', String));
/** One of a few words that need no quoting. */
export const word = <Word extends string>(name: string) =>
  plain(
    name,
    given<Word>('text', (value) => value),
  );

/** Any text. */
export const text = (name: string) => anyText<string>(name, false);
export const optionalText = (name: string) => anyText<string | null>(name, true);

function anyText<Value extends string | null>(name: string, isOptional: boolean): Column<Value> {
  return {
    name,
    type: 'text',
    isOptional,
    array: textColumn,
    select: asItIs,
    read: (selected) => selected as Value,
  };
}

/** Any JSON value; null stands for none. */
export function json<Value>(name: string): Column<Value | null> {
  return jsonOf(
    name,
    (value: Value | null) => value,
    (stored) => stored as Value | null,
  );
}

/** A value that is kept as JSON of another form. */
export function jsonOf<Value>(
  name: string,
  send: (value: Value) => unknown,
  read: (stored: unknown) => Value,
): Column<Value> {
  return {
    name,
    type: 'jsonb',
    isOptional: false,
    array: (rows, value) => jsonColumn(rows, (row) => send(value(row))),
    select: asItIs,
    read,
  };
}

/**
 * Selects a time as whole milliseconds since the Unix epoch. A double holds them exactly in any
 * year, and costs a tenth of the numeric arithmetic that `extract` does for each row.
 */
export function epochOf(expression: string): string {
  return `(date_part('epoch', ${expression}) * 1000)::bigint::text`;
}

/** The same under the column's own name. */
export function epoch(column: string, alias?: string): string {
  return `${epochOf(alias === undefined ? column : `${alias}.${column}`)} as ${column}`;
}

// A batch has few distinct instants, so the last one written is kept.
let lastInstant = Number.NaN;
let lastText = '';

export function isoInstant(instant: number): string {
  if (instant !== lastInstant) {
    lastInstant = instant;
    lastText = new Date(instant).toISOString();
  }
  return lastText;
}
