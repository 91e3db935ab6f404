import { expect, test } from 'vitest';
import { WriteHealth } from '../../src/ledger/write/write-health.js';
import { ownClock } from '../harness/own-clock.js';

/** When people are told that writes fail; the time is the test's own. */

const clock = ownClock();

function told() {
  const health = new WriteHealth();
  const lines: string[] = [];
  health.report({
    failing: (_, fault) => lines.push(fault),
    working: () => lines.push('works'),
  });
  return { health, lines };
}

test('a failure is told once, and again a minute later while it goes on', () => {
  const { health, lines } = told();
  for (let second = 0; second <= 125; second++) {
    health.failed('full', new Error('full'));
    clock.now += 1_000;
  }
  expect(lines).toEqual(['full', 'full', 'full']);
});

test('another failure is news, and so is that writes work again', () => {
  const { health, lines } = told();
  health.worked();
  health.failed('full', new Error('full'));
  health.failed('away', new Error('away'));
  expect(health.fault).toBe('away');
  health.worked();
  health.worked();
  expect(health.fault).toBeUndefined();
  expect(lines).toEqual(['full', 'away', 'works']);
});

test('a failure counts for two seconds, for nobody may be writing since', () => {
  const { health } = told();
  health.failed('full', new Error('full'));
  clock.now += 1_999;
  expect(health.fault).toBe('full');
  clock.now += 1;
  expect(health.fault).toBeUndefined();
});
