// Three people whose devices all commit in the same moment, epoch after epoch, over two replicas.
// Each commit also replaces a fourth device, so that each has a Welcome, and each loser's must never
// be seen.
import { afterAll, beforeAll, expect, test } from 'vitest';

import { GroupService, KeyService, MessagingService } from '../../src/api.ts';
import { Invitations } from '../../src/conversations/invitations.ts';
import { insist, until } from '../support/until.ts';
import { anotherClient, newClient } from './clients.ts';
import type { Client } from './clients.ts';
import { Deployment } from './deployment.ts';
import { GroupDevice } from './groups.ts';
import type { ReadyCommit } from './groups.ts';

const ROUNDS = Number(process.env['HANDRAIL_RACES'] ?? 30);

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.start(2);
});
afterAll(() => deployment?.stop());

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** A conversation of all of them, whom the first lets in. */
async function together([first, ...others]: readonly Client[]): Promise<string> {
  const host = new Invitations(first!.session);
  const conversation = await insist('a conversation', () => host.begin());
  for (const { session } of others) {
    const { code } = await insist('an invitation', () => host.invite(conversation));
    await insist('to be let in', () => new Invitations(session).accept(code));
  }
  return conversation;
}

/** Every Welcome that a device is told of, by its stream and by asking. */
class WelcomeWatch {
  readonly seen = new Set<string>();
  private readonly stopping = new AbortController();
  private readonly running: Promise<void>;

  constructor(private readonly client: Client) {
    this.running = this.listen();
  }

  async ask(): Promise<void> {
    const { welcomes } = await this.client.session.unary(GroupService.method.fetchWelcomes, {});
    for (const { welcome } of welcomes) this.seen.add(hex(welcome));
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  private async listen(): Promise<void> {
    const { signal } = this.stopping;
    const { subscribe } = MessagingService.method;
    try {
      for await (const { event } of this.client.session.serverStream(subscribe, {}, { signal })) {
        if (event.case === 'welcome') this.seen.add(hex(event.value.welcome));
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}

interface Stage {
  readonly racers: readonly GroupDevice[];
  /** The device that every commit replaces, and the private half of its key package. */
  readonly watch: GroupDevice;
  readonly secret: Uint8Array;
  /** Its key package, as each racer claimed it. */
  readonly packages: ReadonlyMap<string, Uint8Array>[];
}

async function newStage(): Promise<Stage> {
  const [first, second] = deployment.replicas.map(({ address }) => address);
  const clients = [];
  for (const address of [first!, second!, first!]) {
    clients.push(await newClient(deployment, address));
  }
  const conversation = await together(clients);
  clients.push(await anotherClient(deployment, second!, clients[1]!));
  const devices: GroupDevice[] = [];
  for (const client of clients) devices.push(await GroupDevice.of(client, conversation));
  const watch = devices.pop()!;
  await until('messaging to know all four', 60, async () => {
    for (const one of [...devices, watch]) if ((await one.group()).devices.length < 4) return false;
    return true;
  });
  const { packages, secret } = await found(devices, watch);
  return { racers: devices, watch, secret, packages };
}

/** The first one makes the group, with all the others in it but for the watch. */
async function found(racers: readonly GroupDevice[], watch: GroupDevice) {
  const [founder, ...others] = racers;
  await founder!.found();
  const secrets = [];
  const added = new Map<string, Uint8Array>();
  for (const other of others) {
    secrets.push(await other.publish());
    added.set(other.device, await founder!.claim(other.device));
  }
  const founding = await founder!.prepare(added);
  founder!.accept(founding, await founder!.commit(founding));
  for (const [i, other] of others.entries()) await other.join(secrets[i]!);
  // All three claim the same package: the last resort of a device that has no other.
  const { engine, client } = watch;
  const { message, secret } = await engine.createKeyPackage(client.session.deviceKey);
  const lastResort = { lastResort: message };
  await client.session.unary(KeyService.method.publishKeyPackages, lastResort);
  const packages = [];
  for (const racer of racers) {
    packages.push(new Map([[watch.device, await racer.claim(watch.device)]]));
  }
  return { packages, secret };
}

/** All three commit at once. Gives the Welcomes of who won and of who lost. */
async function race({ racers, watch, packages }: Stage, round: number) {
  const epoch = BigInt(round) + 1n;
  const replaced = round === 0 ? [] : [watch.device];
  const ready: ReadyCommit[] = [];
  for (const [i, racer] of racers.entries()) ready.push(await racer.prepare(packages[i], replaced));
  const answers = await Promise.allSettled(racers.map((racer, i) => racer.commit(ready[i]!)));
  const winners = answers.flatMap(({ status }, i) => (status === 'fulfilled' ? [i] : []));
  expect(winners, `winners of epoch ${epoch}`).toHaveLength(1);
  for (const [i, racer] of racers.entries()) {
    const answer = answers[i]!;
    if (answer.status === 'fulfilled') {
      expect(answer.value.epoch).toBe(epoch + 1n);
      racer.accept(ready[i]!, answer.value);
    } else {
      expect(answer.reason).toMatchObject({ code: 'ABORTED', reason: 'EPOCH_CONFLICT' });
      expect(answer.reason.details).toMatchObject({ current_epoch: String(epoch + 1n) });
    }
  }
  const welcomes = ready.map(({ request }) => hex(request.welcomes[0]!.welcome));
  const winner = winners[0]!;
  return { winner, won: welcomes[winner]!, lost: welcomes.filter((_, i) => i !== winner) };
}

test(`${ROUNDS} times three commit at once: one wins, and no loser's Welcome is seen`, async () => {
  const stage = await newStage();
  const { racers, watch, secret } = stage;
  for (const racer of racers) expect((await racer.group()).epoch).toBe(1n);
  const watching = new WelcomeWatch(watch.client);
  const won: string[] = [];
  const lost: string[] = [];
  const wins = racers.map(() => 0);
  for (let round = 0; round < ROUNDS; ++round) {
    const { winner, ...welcomes } = await race(stage, round);
    won.push(welcomes.won);
    lost.push(...welcomes.lost);
    wins[winner]! += 1;
    for (const [i, racer] of racers.entries()) {
      expect(await racer.read()).toEqual(i === winner ? [] : [BigInt(round) + 1n]);
    }
    await watching.ask();
  }
  await until('the last Welcome', 60, () => watching.seen.has(won.at(-1)!));
  await watching.stop();
  console.info(`${ROUNDS} epochs, won by ${wins.join(', ')}; ${watching.seen.size} Welcomes seen`);
  expect(lost).toHaveLength(2 * ROUNDS);
  expect([...watching.seen].filter((welcome) => !won.includes(welcome))).toEqual([]);
  expect(lost.filter((welcome) => watching.seen.has(welcome))).toEqual([]);

  // All are in the same epoch with the same secret, and so is who joins now.
  await watch.join(secret);
  expect(await watch.read()).toEqual([]);
  const group = await watch.group();
  expect(group).toMatchObject({ epoch: BigInt(ROUNDS) + 1n, headSequence: BigInt(ROUNDS) + 1n });
  const digits = await watch.authenticator();
  for (const racer of racers) expect(await racer.authenticator()).toBe(digits);
  // As somebody reads it who was not there: one commit an epoch, none left out.
  const commits = 'SELECT COUNT(*), MIN(epoch), MAX(epoch), COUNT(DISTINCT epoch) FROM group_commits';
  const counts = (await deployment.postgres.query('messaging', commits))[0]?.map(Number);
  expect(counts).toEqual([ROUNDS + 1, 0, ROUNDS, ROUNDS + 1]);
  expect(await deployment.violations()).toBe('');
  // Which would have said so.
  await deployment.postgres.query('messaging', 'UPDATE conversations SET epoch = epoch + 1');
  expect(await deployment.violations()).toContain('C3: ');
  for (const { client } of [...racers, watch]) client.session.close();
});
