import type { Uuid } from '../id.js';
import type { Account, Grant, Part } from '../model.js';
import { Agenda, type Item } from './agenda.js';
import { endOf, type Funds, freeOf, type Keeping, type Lot } from './funds.js';
import { endedHold } from './kept.js';

/**
 * What has ended: said here, once. The write path books what falls due (`settle`), and a read does
 * the same in memory alone (`settled`), so that it tells what there is once all is booked.
 */

/** Holds that end at one instant, as they were before. */
interface Ending<H extends Keeping> {
  readonly kind: 'hold';
  readonly at: number;
  readonly holds: readonly H[];
}

/** Grants that have ended for one reason, of which all that no hold keeps goes to breakage. */
export interface Forfeit {
  readonly kind: 'void' | 'expire';
  readonly at: number;
  readonly parts: readonly Part[];
}

/** What falls due at one instant, for one reason. */
type Step<H extends Keeping> = Ending<H> | Forfeit;
type Kind = Step<Keeping>['kind'];

/** The order within an instant: a hold lets go before what it kept of is forfeited. */
const RANKS: Readonly<Record<Kind, number>> = { hold: 0, void: 1, expire: 2 };

interface Entry extends Item {
  readonly kind: Kind;
  /** Where it is among the grants, or the holds. */
  readonly place: number;
}

/** What of an account changes as things fall due. */
type Sums = {
  -readonly [Field in keyof Pick<
    Account,
    'balance' | 'held' | 'freeInGrants' | 'openGrants' | 'openHolds'
  >]: Account[Field];
};

/** The instant at which a hold ends by itself; Infinity for one that is not open. */
function endOfHold({ status, expiresAt }: Keeping): number {
  return status === 'open' ? expiresAt : Infinity;
}

/** A hold as it is told of at an instant, whether or not its end has been booked. */
export function holdAt<H extends Keeping>(hold: H, at: number): H {
  return endOfHold(hold) <= at ? endedHold(hold, 'expired', hold.expiresAt) : hold;
}

export type GrantStatus = 'voided' | 'expired' | 'depleted' | 'pending' | 'active';

/** What a grant is told to be at an instant, whether or not its end has been booked. */
export function grantStatus(
  grant: Pick<Grant, 'voidedAt' | 'expiresAt' | 'remaining' | 'effectiveAt'>,
  at: number,
): GrantStatus {
  if (grant.voidedAt !== null) return 'voided';
  if (endOf(grant) <= at) return 'expired';
  if (grant.remaining === 0n) return 'depleted';
  return grant.effectiveAt > at ? 'pending' : 'active';
}

/**
 * Settles an account's funds in memory, one thing after the other: while something is due, the
 * earliest. What a step makes due itself is added, and comes at its own instant, or at the step's
 * where that is past.
 */
export class Due<G extends Lot, H extends Keeping> {
  readonly #given: Funds<G, H>;
  readonly #agenda: Agenda<Entry>;
  /** Copies, once something falls due: as a rule nothing does. */
  #grants: G[] = [];
  #holds: H[] = [];
  #sums: Sums;
  #at: number;
  #places: ReadonlyMap<Uuid, number> | undefined;

  /**
   * @param until the last instant at which something is due.
   * @param from the instant before which nothing is: what was due earlier, is then.
   */
  constructor(given: Funds<G, H>, until: number, from = -Infinity) {
    this.#given = given;
    this.#at = from;
    this.#sums = given.account;
    const entries: Entry[] = [];
    for (const [place, hold] of given.holds.entries()) {
      const end = endOfHold(hold);
      if (end <= until) entries.push(this.#entry('hold', place, end));
    }
    for (const [place, grant] of given.grants.entries()) {
      const end = endOf(grant);
      if (end <= until && grant.remaining > 0n) entries.push(this.#ended(grant, place, end));
    }
    this.#agenda = new Agenda(entries);
  }

  /** The funds as what fell due so far has left them, in the order in which they were given. */
  get funds(): Funds<G, H> {
    const { account } = this.#given;
    if (this.#sums === account) return this.#given;
    return { account: { ...account, ...this.#sums }, grants: this.#grants, holds: this.#holds };
  }

  /** Settles the earliest that is due. @returns what that was; undefined where nothing is. */
  next(): Step<H> | undefined {
    for (let first = this.#agenda.first; first !== undefined; first = this.#agenda.first) {
      this.#begin();
      const { at, kind } = first;
      this.#at = at;
      const entries = this.#agenda.takeFirst();
      if (kind === 'hold') return { kind, at, holds: this.#end(entries) };
      const parts = this.#forfeit(entries);
      // Where holds keep all of it, it is due again once they end.
      if (parts.length > 0) return { kind, at, parts };
    }
    return undefined;
  }

  #begin(): void {
    const { account, grants, holds } = this.#given;
    if (this.#sums !== account) return;
    const { balance, held, freeInGrants, openGrants, openHolds } = account;
    this.#sums = { balance, held, freeInGrants, openGrants, openHolds };
    this.#grants = [...grants];
    this.#holds = [...holds];
  }

  #ended(grant: G, place: number, end: number): Entry {
    return this.#entry(grant.voidedAt === null ? 'expire' : 'void', place, end);
  }

  #entry(kind: Kind, place: number, end: number): Entry {
    return { at: end < this.#at ? this.#at : end, rank: RANKS[kind], kind, place };
  }

  #end(entries: readonly Entry[]): H[] {
    const ending = entries.map(({ place }) => this.#holds[place]!);
    const freed = new Set<number>();
    for (const [index, hold] of ending.entries()) {
      this.#sums.held -= hold.remaining;
      this.#sums.openHolds--;
      this.#holds[entries[index]!.place] = holdAt(hold, this.#at);
      for (const { grantId, amount } of hold.pins) {
        if (grantId === null) continue;
        this.#sums.freeInGrants += amount;
        const place = this.#placeOf(grantId);
        // Of a grant that was not read nothing is told.
        if (place === undefined) continue;
        const grant = this.#grants[place]!;
        this.#grants[place] = { ...grant, held: grant.held - amount };
        freed.add(place);
      }
    }
    for (const place of freed) {
      const grant = this.#grants[place]!;
      const end = endOf(grant);
      // What ends later is on the agenda since the beginning.
      if (end <= this.#at) this.#agenda.add(this.#ended(grant, place, end));
    }
    return ending;
  }

  #placeOf(grantId: Uuid): number | undefined {
    this.#places ??= new Map(this.#grants.map(({ id }, place) => [id, place]));
    return this.#places.get(grantId);
  }

  #forfeit(entries: readonly Entry[]): Part[] {
    const parts: Part[] = [];
    for (const { place } of entries) {
      const grant = this.#grants[place]!;
      const amount = freeOf(grant);
      if (amount === 0n) continue;
      parts.push({ grantId: grant.id, amount });
      this.#sums.balance -= amount;
      this.#sums.freeInGrants -= amount;
      if (grant.held === 0n) this.#sums.openGrants--;
      this.#grants[place] = { ...grant, remaining: grant.held };
    }
    return parts;
  }
}

/** An account's funds at an instant, once all that is due by then is settled: in memory alone. */
export function settled<G extends Lot, H extends Keeping>(
  funds: Funds<G, H>,
  at: number,
): Funds<G, H> {
  const due = new Due(funds, at);
  while (due.next() !== undefined);
  return due.funds;
}
