// Nothing acknowledged is lost, doubled or out of order, whatever breaks. tests/faults/messages runs
// it for longer, by the variables below.
import { afterAll, beforeAll, expect, test } from 'vitest';

import { newDevice } from '../integration/people.ts';
import { anotherDevice, talker } from '../integration/talkers.ts';
import type { Talker } from '../integration/talkers.ts';
import type { FaultProxy } from '../support/fault_proxy.ts';
import { until } from '../support/until.ts';
import { Deployment } from './deployment.ts';
import { FaultRun } from './fault_run.ts';
import type { Encrypted, FaultRunReport } from './fault_run.ts';

const number = (name: string, usual: number) => Number(process.env[name] ?? usual);
const FAULTS = number('HANDRAIL_FAULTS', 20);
const MESSAGES = number('HANDRAIL_MESSAGES', 2_000);
const SEED = number('HANDRAIL_SEED', 1);
const MINUTES = number('HANDRAIL_FAULT_MINUTES', 10);

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.start(3);
});
afterAll(() => deployment?.stop());

/** Two people with three devices, on real MLS. */
async function encrypted({ endpoint }: FaultProxy): Promise<Encrypted> {
  const endpoints = deployment.endpoints(endpoint);
  const [ann, bob] = [await newDevice(endpoints), await newDevice(endpoints)];
  const tablet = await anotherDevice(bob, endpoints);
  const conversation = await deployment.open([ann.session.member, bob.session.member]);
  const talkers: Talker[] = [];
  for (const device of [ann, bob, tablet]) talkers.push(await talker(device));
  await until('a group of three', 60, async () => {
    await talkers[0]!.conversations.start(conversation).catch(() => {});
    const view = await talkers[0]!.conversations.view(conversation);
    return view?.members.length === 3;
  });
  for (const one of talkers) one.run();
  return { conversation, talkers };
}

function summaryOf(report: FaultRunReport): string {
  const { recoveriesMs, byKind } = report;
  const at = (share: number) => {
    const ms = recoveriesMs[Math.floor(share * (recoveriesMs.length - 1))] ?? 0;
    return `${(ms / 1000).toFixed(2)} s`;
  };
  return [
    `${report.faults} faults, ${report.acknowledged} messages acknowledged, ${report.repeated}` +
      ` repeated, ${report.heard} heard; ${report.encrypted} encrypted;` +
      ` ${report.seconds} s; seed ${SEED}`,
    `all replicas answer after a fault: median ${at(0.5)}, p90 ${at(0.9)}, longest ${at(1)}`,
    ...[...byKind].sort().map(([kind, count]) => `  ${count} × ${kind}`),
  ].join('\n');
}

test(
  `${MESSAGES} messages through ${FAULTS} faults over three replicas`,
  { timeout: (MINUTES + 20) * 60_000 },
  async () => {
    const run = new FaultRun(deployment, {
      faults: FAULTS,
      messages: MESSAGES,
      seed: SEED,
      conversations: 5,
      limitMs: MINUTES * 60_000,
      encrypted,
      say: (text) => console.info(text),
    });
    const report = await run.run();
    console.info(summaryOf(report));
    expect(report.findings).toEqual([]);
    expect(report.faults).toBeGreaterThanOrEqual(FAULTS);
    expect(report.acknowledged).toBeGreaterThanOrEqual(MESSAGES);
    // Everything was part of it, or it shows nothing.
    expect(report.byKind.size).toBe(Math.min(report.kinds, report.faults));
    expect(report.repeated).toBeGreaterThan(0);
    expect(report.encrypted).toBeGreaterThan(0);
  },
);
