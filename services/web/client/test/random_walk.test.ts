// Groups of up to 16 devices in which anything happens: joins, removals, both at once, new keys,
// devices that lost their state, and messages in between. After each change everybody has the same authenticator, and
// every message is read by all the others.
import { expect, test } from 'vitest';

import type { DeviceKey, TsMlsEngine } from '../src/engine/index.ts';
import { Devices, refusalOf, seededRandom, textOf, utf8 } from './devices.ts';

const WALKS = Number(process.env['HANDRAIL_WALKS'] ?? 3);
const STEPS = 40;
const MOST = 16;

interface Place {
  readonly key: DeviceKey;
  state: Uint8Array;
}

class Walk {
  private readonly devices = new Devices();
  private places: Place[] = [];
  private groupInfo: Uint8Array = new Uint8Array();
  private readonly random: () => number;
  readonly counts = { added: 0, removed: 0, replaced: 0, updated: 0, rejoined: 0, messages: 0 };

  private constructor(
    seed: number,
    private readonly engine: TsMlsEngine,
  ) {
    this.random = seededRandom(seed);
  }

  static async begin(seed: number): Promise<Walk> {
    const devices = new Devices();
    const walk = new Walk(seed, await devices.engine());
    Object.assign(walk, { devices });
    const key = devices.make();
    walk.places = [{ key, state: await walk.engine.createGroup(key, utf8(`walk ${seed}`)) }];
    await walk.change(walk.places[0]!, {});
    return walk;
  }

  async step(): Promise<void> {
    const who = this.pick();
    const roll = this.random();
    if (roll < 0.3 && this.places.length < MOST) return this.add(who);
    if (roll < 0.4 && this.places.length > 2) return this.remove(who);
    if (roll < 0.5 && this.places.length > 2) return this.replace(who);
    if (roll < 0.6) {
      this.counts.updated += 1;
      await this.change(who, {});
      return this.check();
    }
    if (roll < 0.7 && this.places.length > 1) return this.rejoin(who);
    return this.say(who);
  }

  private pick(): Place {
    return this.places[Math.floor(this.random() * this.places.length)]!;
  }

  /** One device changes the group, and all the others take the change. */
  private async change(
    who: Place,
    change: { add?: readonly Uint8Array[]; remove?: readonly string[] },
  ): Promise<Uint8Array | undefined> {
    const pending = await this.engine.commit(who.state, change);
    who.state = pending.state;
    this.groupInfo = pending.groupInfo;
    await this.spread(who, pending.commit);
    return pending.welcome;
  }

  private async spread(from: Place, commit: Uint8Array): Promise<void> {
    for (const place of this.places) {
      if (place === from) continue;
      place.state = (await this.engine.receive(place.state, commit)).state;
    }
  }

  private async add(who: Place): Promise<void> {
    const count = Math.min(1 + Math.floor(this.random() * 3), MOST - this.places.length);
    const keys = Array.from({ length: count }, () => this.devices.make());
    const packages = await Promise.all(keys.map((key) => this.engine.createKeyPackage(key)));
    const welcome = await this.change(who, { add: packages.map((p) => p.message) });
    for (const [i, key] of keys.entries()) {
      const state = await this.engine.join(welcome!, packages[i]!.secret);
      this.places.push({ key, state });
    }
    this.counts.added += count;
    await this.check();
  }

  private async remove(who: Place): Promise<void> {
    const gone = this.other(who);
    await this.change(who, { remove: [gone.key.device] });
    await this.leave(who, gone);
    this.counts.removed += 1;
    await this.check();
  }

  /** One goes and another comes by one commit, which may give the one's leaf to the other. */
  private async replace(who: Place): Promise<void> {
    const gone = this.other(who);
    const key = this.devices.make();
    const { message, secret } = await this.engine.createKeyPackage(key);
    const change = { add: [message], remove: [gone.key.device] };
    const welcome = await this.change(who, change);
    await this.leave(who, gone);
    this.places.push({ key, state: await this.engine.join(welcome!, secret) });
    this.counts.replaced += 1;
    await this.check();
  }

  private other(who: Place): Place {
    const others = this.places.filter((place) => place !== who);
    return others[Math.floor(this.random() * others.length)]!;
  }

  private async leave(who: Place, gone: Place): Promise<void> {
    expect(this.engine.view(gone.state).active).toBe(false);
    this.places = this.places.filter((place) => place !== gone);
    const { message, state } = await this.engine.encrypt(who.state, utf8('gone'));
    expect(await refusalOf(this.engine.receive(gone.state, message))).toBe('gone');
    who.state = state;
  }

  private async rejoin(who: Place): Promise<void> {
    const pending = await this.engine.rejoin(who.key, this.groupInfo);
    who.state = pending.state;
    this.groupInfo = pending.groupInfo;
    await this.spread(who, pending.commit);
    this.counts.rejoined += 1;
    await this.check();
  }

  private async say(who: Place): Promise<void> {
    const words = `message ${this.counts.messages}`;
    const { message, state } = await this.engine.encrypt(who.state, utf8(words));
    who.state = state;
    for (const place of this.places) {
      if (place === who) continue;
      const received = await this.engine.receive(place.state, message);
      expect(received.kind).toBe('application');
      if (received.kind !== 'application') continue;
      expect(textOf(received.plaintext)).toBe(words);
      expect(received.sender).toBe(who.key.device);
      place.state = received.state;
    }
    this.counts.messages += 1;
  }

  private async check(): Promise<void> {
    const all = await Promise.all(this.places.map((p) => this.engine.authenticator(p.state)));
    expect(new Set(all).size).toBe(1);
    const names = this.engine.view(this.places[0]!.state).members.map((m) => m.device);
    expect([...names].sort()).toEqual(this.places.map((p) => p.key.device).sort());
  }
}

test(`${WALKS} random walks of ${STEPS} steps`, { timeout: 600_000 }, async () => {
  const sums = { added: 0, removed: 0, replaced: 0, updated: 0, rejoined: 0, messages: 0 };
  for (let seed = 1; seed <= WALKS; ++seed) {
    const walk = await Walk.begin(seed);
    for (let step = 0; step < STEPS; ++step) {
      await walk.step().catch((error: unknown) => {
        throw new Error(`walk ${seed}, step ${step}`, { cause: error });
      });
    }
    for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] += walk.counts[name];
  }
  // A walk that does nothing proves nothing.
  for (const count of Object.values(sums)) expect(count).toBeGreaterThan(WALKS);
});
