import { Agenda, type Item } from './agenda.js';
import { endOf, type Funds, freeOf, type Keeping, type Lot } from './funds.js';
import type { Uuid } from './id.js';
import { endedHold } from './kept.js';
import type { Account, Grant, Part } from './model.js';

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
const RANKS: readonly Kind[] = ['hold', 'void', 'expire'];

interface Entry extends Item {
  readonly id: Uuid;
}

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
  readonly #until: number;
  readonly #agenda = new Agenda<Entry>();
  readonly #given: Funds<G, H>;
  #account: Account;
  /** Empty until something falls due: as a rule nothing does. */
  #grants = new Map<Uuid, G>();
  #holds = new Map<Uuid, H>();
  #at: number;

  /**
   * @param until the last instant at which something is due.
   * @param from the instant before which nothing is: what was due earlier, is then.
   */
  constructor(given: Funds<G, H>, until: number, from = -Infinity) {
    this.#given = given;
    this.#account = given.account;
    this.#until = until;
    this.#at = from;
    for (const hold of given.holds) this.#add('hold', hold.id, endOfHold(hold));
    for (const grant of given.grants) this.#look(grant);
  }

  /** The funds as what fell due so far has left them, in the order in which they were given. */
  get funds(): Funds<G, H> {
    if (this.#account === this.#given.account) return this.#given;
    const grants = [...this.#grants.values()];
    return { account: this.#account, grants, holds: [...this.#holds.values()] };
  }

  /** Settles the earliest that is due. @returns what that was; undefined where nothing is. */
  next(): Step<H> | undefined {
    const first = this.#agenda.first;
    if (first === undefined) return undefined;
    if (this.#account === this.#given.account) {
      this.#grants = new Map(this.#given.grants.map((grant) => [grant.id, grant]));
      this.#holds = new Map(this.#given.holds.map((hold) => [hold.id, hold]));
    }
    const { at, rank } = first;
    this.#at = at;
    // What is due for two reasons by now, is so once.
    const ids = new Set(this.#agenda.takeFirst().map(({ id }) => id));
    const kind = RANKS[rank]!;
    if (kind === 'hold') return { kind, at, holds: this.#end(ids) };
    return { kind, at, parts: this.#forfeit(ids) };
  }

  #look(grant: G): void {
    if (freeOf(grant) === 0n) return;
    this.#add(grant.voidedAt === null ? 'expire' : 'void', grant.id, endOf(grant));
  }

  #add(kind: Kind, id: Uuid, end: number): void {
    if (end > this.#until) return;
    this.#agenda.add({ at: end < this.#at ? this.#at : end, rank: RANKS.indexOf(kind), id });
  }

  #end(ids: Iterable<Uuid>): H[] {
    const ending = [...ids].map((id) => this.#holds.get(id)!);
    let { held, freeInGrants, openHolds } = this.#account;
    const freed = new Set<Uuid>();
    for (const hold of ending) {
      held -= hold.remaining;
      openHolds--;
      this.#holds.set(hold.id, holdAt(hold, this.#at));
      for (const { grantId, amount } of hold.pins) {
        if (grantId === null) continue;
        freeInGrants += amount;
        // Of a grant that was not read nothing is told.
        const grant = this.#grants.get(grantId);
        if (grant === undefined) continue;
        this.#grants.set(grantId, { ...grant, held: grant.held - amount });
        freed.add(grantId);
      }
    }
    this.#account = { ...this.#account, held, freeInGrants, openHolds };
    for (const id of freed) this.#look(this.#grants.get(id)!);
    return ending;
  }

  #forfeit(ids: Iterable<Uuid>): Part[] {
    let { balance, freeInGrants, openGrants } = this.#account;
    const parts: Part[] = [];
    for (const grantId of ids) {
      const grant = this.#grants.get(grantId)!;
      const amount = freeOf(grant);
      parts.push({ grantId, amount });
      balance -= amount;
      freeInGrants -= amount;
      if (grant.held === 0n) openGrants--;
      this.#grants.set(grantId, { ...grant, remaining: grant.held });
    }
    this.#account = { ...this.#account, balance, freeInGrants, openGrants };
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
