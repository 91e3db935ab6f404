import type { Uuid } from '../../core/id.js';
import type { Statement } from '../engine/db.js';
import type { Column } from './columns.js';

/** A column for every field of a row. */
export type Columns<Row> = { readonly [Field in keyof Row]-?: Column<Row[Field]> };

/** A row as the driver hands it over, by the names of what was selected. */
export type Selected = Readonly<Record<string, unknown>>;

/** Writes rows of one store, all in one statement. */
export type Write<Row> = (storeId: Uuid, rows: readonly Row[]) => Statement;

/**
 * What of a table's columns the program uses, by the fields of a row, from which follow what is
 * selected, how it is read, and the statements that write it. Every row belongs to a store.
 */
export class Table<Row extends object> {
  readonly name: string;
  readonly columns: Columns<Row>;
  /** Writes new rows. */
  readonly insert: Write<Row>;
  readonly #fields: readonly (readonly [string, Column<unknown>])[];
  readonly #blank: Record<string, unknown> = {};

  constructor(name: string, columns: Columns<Row>) {
    this.name = name;
    this.columns = columns;
    this.#fields = Object.entries(columns) as [string, Column<unknown>][];
    for (const [field] of this.#fields) this.#blank[field] = null;
    this.insert = this.#insert();
  }

  /** All columns, to be selected, each under its own name. */
  list(alias?: string): string {
    const prefix = alias === undefined ? '' : `${alias}.`;
    const items = this.#fields.map(([, { name, select }]) => {
      const expression = `${prefix}${name}`;
      const selected = select(expression);
      return selected === expression ? expression : `${selected} as ${name}`;
    });
    return items.join(', ');
  }

  /** A statement that goes on with its conditions. */
  get select(): string {
    return `select ${this.list()} from tallystick.${this.name}`;
  }

  /** Makes a row of what was selected by `list`, and of nothing else that came with it. */
  read(selected: Selected): Row {
    // The fields are there beforehand, for an object that grows is slow.
    const row = { ...this.#blank };
    for (const [field, { name, read }] of this.#fields) row[field] = read(selected[name]);
    return row as Row;
  }

  /**
   * A row as one piece of text, of what `list` selected, for tables without free text: where many
   * are read at once, rows cost the driver more than all else.
   */
  get packed(): string {
    const items = this.#fields.map(([, { name, isOptional }]) =>
      isOptional ? `coalesce(${name}::text, '-')` : name,
    );
    return `concat_ws(' ', ${items.join(', ')})`;
  }

  /** @param items the words of a packed row; what follows them is left alone. */
  unpack(items: readonly string[]): Row {
    const row = { ...this.#blank };
    for (const [place, [field, column]] of this.#fields.entries()) {
      const item = items[place]!;
      row[field] = column.read(column.isOptional && item === '-' ? null : item);
    }
    return row as Row;
  }

  /**
   * Writes what changed of rows that are there, which `key` tells apart.
   *
   * The limit cuts nothing off. It tells the planner to expect few rows, so that it looks each one
   * up by its whole key; where it expected ten, it read whole stores that it took to be small.
   */
  update(key: keyof Row & string, fields: readonly (keyof Row)[]): Write<Row> {
    const sent = this.#fields.filter(
      ([field]) => field === key || fields.includes(field as keyof Row),
    );
    const columns = sent.map(([, column]) => column);
    const names = columns.map(({ name }) => name);
    const id = this.columns[key].name;
    const sets = names.filter((name) => name !== id).map((name) => `${name} = v.${name}`);
    const text = `update tallystick.${this.name} as r set ${sets.join(', ')}
      from (select * from unnest(${typesOf(columns)}) limit $${columns.length + 2})
        as v (${names.join(', ')})
      where r.store_id = $1 and r.${id} = v.${id}`;
    return (storeId, rows) => ({
      text,
      values: [storeId, ...arraysOf(sent, rows), rows.length],
    });
  }

  #insert(): Write<Row> {
    const columns = this.#fields.map(([, column]) => column);
    const names = columns.map(({ name }) => name);
    const text = `insert into tallystick.${this.name} (store_id, ${names.join(', ')})
      select $1, * from unnest(${typesOf(columns)})`;
    return (storeId, rows) => ({ text, values: [storeId, ...arraysOf(this.#fields, rows)] });
  }
}

function typesOf(columns: readonly Column<unknown>[]): string {
  return columns.map(({ type }, index) => `$${index + 2}::${type}[]`).join(', ');
}

function arraysOf<Row extends object>(
  fields: readonly (readonly [string, Column<unknown>])[],
  rows: readonly Row[],
): string[] {
  return fields.map(([field, column]) => column.array(rows, (row) => row[field as keyof Row]));
}
