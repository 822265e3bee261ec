// Random walks of groups in which some members are on our engine and others on core-crypto, which
// shares no line with it: what one makes, the other must take. A failure names its walk:
// HANDRAIL_MIXED_SEED=<it> walks that one alone.
import { expect, test, vi } from 'vitest';

import { MadeMessages } from './support/made_messages.ts';
import { MixedGroup } from './support/mixed_group.ts';

vi.mock('ts-mls', async (original) => {
  const { withManner } = await import('./support/engine_manner.ts');
  return withManner(await original());
});

const ASKED = process.env['HANDRAIL_MIXED_WALKS'];
const SEED = process.env['HANDRAIL_MIXED_SEED'];
const STEPS = Number(process.env['HANDRAIL_MIXED_STEPS'] ?? 20);

const first = Number(SEED ?? 1);
const last = SEED === undefined ? Number(ASKED ?? 2) : first;

/** Every third one is founded by core-crypto. */
async function walk(seed: number): Promise<MixedGroup> {
  const group = await MixedGroup.found(seed, seed % 3 === 2 ? 'core-crypto' : 'ts-mls');
  for (let step = 0; step < STEPS; ++step) {
    await group.step().catch((error: unknown) => {
      throw new Error(`HANDRAIL_MIXED_SEED=${seed}, step ${step}`, { cause: error });
    });
  }
  group.end();
  return group;
}

const walks = last - first + 1;

test(`${walks} mixed walks of ${STEPS} steps`, { timeout: 180_000 * walks }, async () => {
  MadeMessages.begin();
  const sums = new Map<string, number>();
  let largest = 0;
  for (let seed = first; seed <= last; ++seed) {
    const group = await walk(seed);
    largest = Math.max(largest, group.largest);
    for (const [what, count] of group.counts) sums.set(what, (sums.get(what) ?? 0) + count);
  }
  if (ASKED !== undefined) console.log(`up to ${largest} members`, Object.fromEntries(sums));
  if (SEED !== undefined) return;
  // A walk that does nothing proves nothing.
  expect(largest).toBeGreaterThan(8);
  const steps = ['add', 'remove', 'replace', 'update', 'rejoin', 'lost race', 'say', 'say late'];
  const done = [...sums.keys()];
  for (const step of steps) expect(done, step).toContainEqual(expect.stringMatching(`^${step} by`));
  for (const maker of ['ts-mls', 'core-crypto']) {
    expect(done.filter((what) => what.endsWith(maker)).length, maker).toBeGreaterThan(5);
  }
});
