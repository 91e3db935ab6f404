import type { Command } from '../../src/core/command.js';
import {
  captureCommand,
  creditCommand,
  debitCommand,
  extendCommand,
  holdCommand,
  postCommand,
  releaseCommand,
  reverseCommand,
  voidCommand,
} from '../../src/ledger/commands.js';
import { newId } from '../../src/store/ids.js';
import { type FundsModel, net, type Step } from './funds-model.js';

interface Names {
  readonly accounts: readonly string[];
  readonly transactions: readonly string[];
  readonly holds: readonly string[];
}

type Sent = { readonly step: Step; readonly command: Command };

/** What is sent for a step; the step learns the id of the grant that it makes. */
export function commandOf(
  step: Exclude<Step, { kind: 'clock' }>,
  { accounts, transactions, holds }: Names,
  model: FundsModel,
  instantOf: (tick: number) => number,
  tickMs: number,
): Sent {
  const movement = { reference: 'r', key: newId() };
  switch (step.kind) {
    case 'credit': {
      const { amount, terms } = step;
      const command = creditCommand({
        ...movement,
        accountId: accounts[step.account]!,
        amount,
        terms: terms && {
          priority: terms.priority,
          category: terms.promo ? 'promotional' : 'paid',
          effectiveAt: terms.from === null ? undefined : instantOf(terms.from),
          expiresAt: terms.until === null ? null : instantOf(terms.until),
        },
      });
      return { step: { ...step, id: command.terms?.grantId ?? '' }, command };
    }
    case 'debit': {
      const accountId = accounts[step.account]!;
      return { step, command: debitCommand({ ...movement, accountId, amount: step.amount }) };
    }
    case 'transfer': {
      const postings = [
        { accountId: accounts[step.account]!, amount: -step.amount },
        { accountId: accounts[step.to]!, amount: step.amount },
      ];
      return { step, command: postCommand({ ...movement, postings }) };
    }
    case 'post': {
      const own = step.lines.map((amount) => ({ accountId: accounts[step.account]!, amount }));
      const rest = -net(step.lines);
      const other = rest === 0n ? [] : [{ accountId: accounts[step.to]!, amount: rest }];
      return { step, command: postCommand({ ...movement, postings: [...own, ...other] }) };
    }
    case 'reverse':
      return { step, command: reverseCommand(transactions[step.transaction]!) };
    case 'hold': {
      const { amount, ticks, key } = step;
      const accountId = accounts[step.account]!;
      const expiresInMs = ticks * tickMs;
      const fields = { accountId, amount, reference: 'r', key: `hold ${key}`, expiresInMs };
      return { step, command: holdCommand(fields) };
    }
    case 'capture': {
      const { amount, final } = step;
      const overage = step.cap ? 'cap' : 'refuse';
      const fields = { holdId: holds[step.hold]!, amount, overage, final } as const;
      return { step, command: captureCommand({ ...fields, key: movement.key }) };
    }
    case 'release':
      return { step, command: releaseCommand(holds[step.hold]!) };
    case 'extend':
      return { step, command: extendCommand(holds[step.hold]!, step.ticks * tickMs) };
    case 'void':
      return { step, command: voidCommand(model.lots[step.grant]!.id) };
    case 'freeze':
    case 'unfreeze':
    case 'close':
      return { step, command: { kind: step.kind, accountId: accounts[step.account]! } };
    case 'settle': {
      const accountId = accounts[step.account]!;
      return { step, command: { kind: 'settle', accountId, aheadMs: 0 } };
    }
  }
}
