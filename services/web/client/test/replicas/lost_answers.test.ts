// Calls that took effect and whose answer was lost: on the way, or because the replica died between
// its commit and the reply.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { MessagingService } from '../../src/api.ts';
import { FaultProxy } from '../support/fault_proxy.ts';
import { insist, until } from '../support/until.ts';
import { newClient } from './clients.ts';
import { Deployment } from './deployment.ts';
import { GroupDevice, newId } from './groups.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.start(2);
});
afterAll(() => deployment?.stop());

interface Stage {
  readonly ann: GroupDevice;
  readonly bob: GroupDevice;
  /** Through which Ann calls: the first replica, then the second. */
  readonly proxy: FaultProxy;
}

/** Ann, who has a connection to the first replica, and Bob at the second. */
async function newStage(): Promise<Stage> {
  const [first, second] = deployment.replicas.map(({ address }) => address);
  const proxy = await FaultProxy.to(first!, second!);
  const annClient = await newClient(deployment, proxy.endpoint);
  const bobClient = await newClient(deployment, second!);
  const people = [annClient.session.member, bobClient.session.member] as const;
  const conversation = await deployment.open(people);
  const ann = await GroupDevice.of(annClient, conversation);
  const bob = await GroupDevice.of(bobClient, conversation);
  await ann.group();
  await bob.group();
  expect(proxy.accepted).toBe(1);
  return { ann, bob, proxy };
}

async function end({ ann, bob, proxy }: Stage): Promise<void> {
  for (const { client } of [ann, bob]) client.session.close();
  await proxy.close();
}

type Loss = (proxy: FaultProxy) => Promise<void>;
const LOSSES: readonly [string, Loss][] = [
  ['on the way', async (proxy) => proxy.cut()],
  [
    'with the replica, by kill -9',
    async (proxy) => {
      expect(deployment.replicas[0]?.program.signal('SIGKILL')).toBe(true);
      // What it was about to say never comes.
      await until('the connection to end', 60, () => proxy.open === 0);
    },
  ],
];

/** Makes a call whose reply does not come back, and loses it once `done` says that it took effect. */
async function loseAnswer(
  { proxy }: Stage,
  lose: Loss,
  call: () => Promise<unknown>,
  done: () => Promise<boolean>,
): Promise<void> {
  proxy.keepReplies();
  const failure = call().then(
    () => 'answered',
    (error: { code?: string }) => error.code,
  );
  await until('the call to take effect', 60, done);
  await lose(proxy);
  expect(await failure).toBe('UNAVAILABLE');
}

describe.each(LOSSES)('an answer that is lost %s', (_, lose) => {
  test('to a message is given again, and other bytes are refused', async () => {
    const stage = await newStage();
    const { ann, bob } = stage;
    const { conversation } = ann;
    const { session } = ann.client;
    const said = { conversation, messageId: newId(), payload: new Uint8Array([1, 2, 3]) };
    const say = (request: typeof said) =>
      session.unary(MessagingService.method.sendMessage, request);
    const heard = () => {
      const { fetchMessages } = MessagingService.method;
      return insist('a page', () => bob.client.session.unary(fetchMessages, { conversation }));
    };
    await loseAnswer(stage, lose, () => say(said), async () => (await heard()).envelopes.length > 0);

    const again = await insist('the answer', () => say(said));
    const { envelopes } = await heard();
    expect(envelopes).toMatchObject([
      { sequence: again.sequence, messageId: said.messageId, payload: said.payload },
    ]);
    expect(again.createTime).toEqual(envelopes[0]?.createTime);
    const other = { ...said, payload: new Uint8Array([4]) };
    await expect(insist('a refusal', () => say(other))).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'REQUEST_ID_REUSED',
    });
    expect((await heard()).envelopes).toHaveLength(1);
    await end(stage);
  });

  test('to a commit is given again, and other bytes are refused', async () => {
    const stage = await newStage();
    const { ann, bob } = stage;
    const secret = await bob.publish();
    await ann.found();
    const packages = new Map([[bob.device, await ann.claim(bob.device)]]);
    const founding = await ann.prepare(packages);
    const isIn = (epoch: bigint) => async () => (await bob.group()).epoch === epoch;
    await loseAnswer(stage, lose, () => ann.commit(founding), isIn(1n));

    const again = await insist('the answer', () => ann.commit(founding));
    expect(again).toMatchObject({ sequence: 1n, epoch: 1n });
    // As every replica has it, also the one that died.
    await deployment.ready();
    ann.client.session.reconnect();
    expect(await insist('the answer', () => ann.commit(founding))).toEqual(again);
    const other = (await ann.prepare(packages)).request;
    const { request, state } = founding;
    for (const bundle of [
      { ...other, commitId: request.commitId },
      { ...request, welcomes: other.welcomes },
      { ...request, groupInfo: (await ann.prepare()).request.groupInfo },
    ]) {
      const repeating = insist('a refusal', () => ann.commit({ request: bundle, state }));
      await expect(repeating).rejects.toMatchObject({
        code: 'FAILED_PRECONDITION',
        reason: 'REQUEST_ID_REUSED',
      });
    }
    // One commit, with its Welcome, and both are in its epoch.
    ann.accept(founding, again);
    await bob.join(secret);
    expect(await bob.read()).toEqual([]);
    expect(await bob.group()).toMatchObject({ epoch: 1n, headSequence: 1n });
    expect(await bob.authenticator()).toBe(await ann.authenticator());
    await end(stage);
  });
});
