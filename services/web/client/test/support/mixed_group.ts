import { expect } from 'vitest';

import type { TsMlsEngine } from '../../src/engine/index.ts';
import { Devices, seededRandom, textOf, utf8 } from '../devices.ts';
import { CoreCryptoPeer, wireDevice } from './core_crypto.ts';
import { manner } from './engine_manner.ts';
import { MadeMessages } from './made_messages.ts';
import type { Wire } from './made_messages.ts';
import { EnginePeer } from './peers.ts';
import type { Bundle, Change, Deliver, Maker, NewKeyPackage, Peer } from './peers.ts';

const MOST = 16;

/**
 * A group of members on both implementations, of which any may do anything. After each change all
 * have the same members and the same exported secret, those on our engine the same digits; every
 * message is read by all the others.
 */
export class MixedGroup {
  private readonly random: () => number;
  private readonly made = new MadeMessages();
  private readonly groupId: Uint8Array;
  private peers: Peer[] = [];
  private groupInfo: Uint8Array = new Uint8Array();
  private words = 0;
  /** What was done, by whom: `add by ts-mls` and so on. */
  readonly counts = new Map<string, number>();
  largest = 1;

  private constructor(
    seed: number,
    private readonly devices: Devices,
    private readonly engine: TsMlsEngine,
  ) {
    this.random = seededRandom(seed);
    this.groupId = utf8(`mixed ${seed}`);
  }

  static async found(seed: number, founder: Maker): Promise<MixedGroup> {
    const devices = new Devices();
    const group = new MixedGroup(seed, devices, await devices.engine());
    manner.claimsX509 = founder === 'core-crypto';
    const peer = await group.newcomer(founder);
    await peer.found(group.groupId);
    group.peers = [peer];
    await group.change(peer, {});
    await group.add(peer, founder === 'ts-mls' ? 'core-crypto' : 'ts-mls');
    // However the walk goes on, each library has made each kind of message.
    for (const one of group.peers.slice(0, 2)) {
      await group.rejoin(one);
      await group.say(one);
    }
    return group;
  }

  async step(): Promise<void> {
    const who = this.pick();
    const roll = this.random();
    if (roll < 0.26 && this.peers.length < MOST) return this.add(who);
    if (roll < 0.32 && this.leavers(who).length > 0) return this.remove(who);
    if (roll < 0.34 && this.rightHalf().length > 1) return this.clearLeft();
    if (roll < 0.44 && this.leavers(who).length > 0) return this.replace(who);
    if (roll < 0.56) return this.update(who);
    if (roll < 0.66 && this.canFollow(who)) return this.rejoin(who);
    if (roll < 0.74) return this.race(who);
    if (roll < 0.84) return this.sayLate(who);
    return this.say(who);
  }

  /** Gives up all members, and keeps their messages where they are asked for. */
  end(): void {
    for (const peer of this.peers) peer.end();
    this.made.save();
  }

  private count(what: string, who: Peer): void {
    const key = `${what} by ${who.maker}`;
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
  }

  private pick(among: readonly Peer[] = this.peers): Peer {
    return among[Math.floor(this.random() * among.length)]!;
  }

  private others(who: Peer): Peer[] {
    return this.peers.filter((peer) => peer !== who);
  }

  /** Whom `who` may remove: one on our engine always stays, and nobody is alone. */
  private leavers(who: Peer): Peer[] {
    if (this.peers.length < 3) return [];
    const ours = this.peers.filter((peer) => peer instanceof EnginePeer);
    return this.others(who).filter((peer) => ours.length > 1 || peer !== ours[0]);
  }

  /** Who has a leaf there, when one of them is on our engine. */
  private rightHalf(): Peer[] {
    const leaves = this.leaves();
    let half = 1;
    while (2 * half <= Math.max(...leaves.values())) half *= 2;
    const right = this.peers.filter(({ device }) => leaves.get(device)! >= half);
    return right.some((peer) => peer instanceof EnginePeer) ? right : [];
  }

  private leaves(): Map<string, number> {
    const ours = this.peers.find((peer) => peer instanceof EnginePeer)!;
    const { members } = this.engine.view(ours.state);
    return new Map(members.map(({ device, leafIndex }) => [device, leafIndex]));
  }

  private get mixed(): boolean {
    return this.peers.some((peer) => peer.maker === 'core-crypto');
  }

  /**
   * Whether core-crypto gets a commit right in which `gone` leaves the tree and one comes into it.
   * Where `gone` is alone in the right half of a tree whose left half is full, it halves the tree,
   * doubles it again, and finds `gone` still there (openmls issue 1794; oracle.test.ts).
   */
  private canFollow(gone: Peer): boolean {
    if (!this.mixed) return true;
    const leaves = this.leaves();
    const index = leaves.get(gone.device)!;
    const half = leaves.size - 1;
    const isPowerOfTwo = (half & (half - 1)) === 0;
    const alone = [...leaves.values()].every((leaf) => leaf < half || leaf === index);
    return !(isPowerOfTwo && alone && index > half);
  }

  private async newcomer(maker?: Maker): Promise<EnginePeer | CoreCryptoPeer> {
    if ((maker ?? (this.random() < 0.5 ? 'ts-mls' : 'core-crypto')) === 'ts-mls') {
      return new EnginePeer(this.engine, this.devices.make(wireDevice()));
    }
    const peer = await CoreCryptoPeer.create();
    this.devices.know(peer.device, peer.signatureKey);
    return peer;
  }

  /** One member changes the group, and all the others take the change. */
  private async change(
    who: Peer,
    change: { readonly add?: readonly NewKeyPackage[]; readonly remove?: readonly string[] },
    accept = true,
  ): Promise<Uint8Array | undefined> {
    const add = change.add ?? [];
    manner.publicCommits = this.mixed;
    const wire: Wire = this.mixed ? 'public' : 'private';
    const frame = { wire, added: add.map(({ reference }) => reference) };
    const proposed: Change = { ...change, add: add.map(({ message }) => message) };
    return this.carry(who, 'commit', frame, accept, (deliver) => who.commit(proposed, deliver));
  }

  private async carry(
    who: Peer,
    what: 'commit' | 'external_commit',
    frame: { readonly wire: Wire; readonly added: readonly Uint8Array[] },
    accept: boolean,
    act: (deliver: Deliver) => Promise<void>,
  ): Promise<Uint8Array | undefined> {
    const epoch = await who.epoch();
    let made: Bundle | undefined;
    await act((bundle) => {
      made = bundle;
      return accept;
    });
    this.made.bundle(who.maker, what, made!, { ...frame, group: this.groupId, epoch });
    if (!accept) return undefined;
    this.groupInfo = made!.groupInfo;
    for (const peer of this.others(who)) {
      const heard = await peer.receive(made!.commit);
      expect(heard.kind).toBe('commit');
    }
    return made!.welcome;
  }

  private async invite(count: number, maker?: Maker): Promise<[Peer, NewKeyPackage][]> {
    const invited: [Peer, NewKeyPackage][] = [];
    for (let i = 0; i < count; ++i) {
      const peer = await this.newcomer(maker);
      const made = await peer.keyPackage();
      this.made.keyPackage(peer, made);
      invited.push([peer, made]);
    }
    return invited;
  }

  private async welcome(
    invited: readonly [Peer, NewKeyPackage][],
    welcome: Uint8Array | undefined,
  ): Promise<void> {
    for (const [peer] of invited) {
      await peer.join(welcome!);
      this.peers.push(peer);
    }
    this.largest = Math.max(this.largest, this.peers.length);
  }

  private async add(who: Peer, maker?: Maker): Promise<void> {
    const most = Math.min(3, MOST - this.peers.length);
    const invited = await this.invite(1 + Math.floor(this.random() * most), maker);
    await this.welcome(invited, await this.change(who, { add: invited.map(([, made]) => made) }));
    this.count('add', who);
    await this.check();
  }

  /** Those who are removed are told so, and read nothing any more. */
  private async leave(who: Peer, ...gone: Peer[]): Promise<void> {
    this.peers = this.peers.filter((peer) => !gone.includes(peer));
    const after = await who.say(utf8('gone'), new Uint8Array());
    for (const peer of this.others(who)) await peer.receive(after);
    for (const peer of gone) {
      await expect(peer.receive(after)).rejects.toThrow();
      peer.end();
    }
  }

  private async remove(who: Peer): Promise<void> {
    const gone = this.pick(this.leavers(who));
    await this.change(who, { remove: [gone.device] });
    await this.leave(who, gone);
    this.count('remove', who);
    await this.check();
  }

  /** One commit leaves half of the tree blank; then all make new keys. */
  private async clearLeft(): Promise<void> {
    const right = this.rightHalf();
    const who = this.pick(right);
    const gone = this.peers.filter((peer) => !right.includes(peer));
    await this.change(who, { remove: gone.map(({ device }) => device) });
    await this.leave(who, ...gone);
    this.count('clear', who);
    await this.check();
    for (const peer of right) await this.update(peer);
  }

  /** One goes and another comes: in one commit, where the library can. */
  private async replace(who: Peer): Promise<void> {
    const gone = this.pick(this.leavers(who));
    const invited = await this.invite(1);
    const add = invited.map(([, made]) => made);
    let welcome: Uint8Array | undefined;
    if (who.maker === 'ts-mls' && this.canFollow(gone)) {
      welcome = await this.change(who, { add, remove: [gone.device] });
      await this.leave(who, gone);
    } else {
      await this.change(who, { remove: [gone.device] });
      await this.leave(who, gone);
      welcome = await this.change(who, { add });
    }
    await this.welcome(invited, welcome);
    this.count('replace', who);
    await this.check();
  }

  private async update(who: Peer): Promise<void> {
    await this.change(who, {});
    this.count('update', who);
    await this.check();
  }

  private async rejoin(who: Peer): Promise<void> {
    await this.carry(who, 'external_commit', { wire: 'public', added: [] }, true, (deliver) =>
      who.rejoin(this.groupInfo, deliver),
    );
    this.count('rejoin', who);
    await this.check();
  }

  /** Two commits for one epoch: the first is thrown away by who made it. */
  private async race(loser: Peer): Promise<void> {
    const invited = this.random() < 0.5 ? await this.invite(1) : [];
    await this.change(loser, { add: invited.map(([, made]) => made) }, false);
    for (const [peer] of invited) peer.end();
    const winner = this.pick(this.others(loser));
    await this.change(winner, {});
    this.count('lost race', loser);
    await this.check();
  }

  private async speak(who: Peer): Promise<{ readonly words: string; readonly message: Uint8Array }> {
    const words = `message ${this.words++}`;
    const size = who.maker === 'ts-mls' ? Math.floor(this.random() * 200) : 0;
    const authenticatedData = new Uint8Array(size).map(() => Math.floor(this.random() * 256));
    const message = await who.say(utf8(words), authenticatedData);
    const epoch = await who.epoch();
    const frame = { wire: 'private', group: this.groupId, epoch, authenticatedData } as const;
    this.made.framed(who.maker, 'application', message, frame);
    return { words, message };
  }

  private async hear(
    from: Peer,
    said: readonly { readonly words: string; readonly message: Uint8Array }[],
  ): Promise<void> {
    for (const peer of this.others(from)) {
      for (const { words, message } of said) {
        const heard = await peer.receive(message);
        expect(heard.kind).toBe('application');
        if (heard.kind !== 'application') continue;
        expect(textOf(heard.plaintext)).toBe(words);
        expect(heard.sender).toBe(from.device);
      }
    }
  }

  /** One or two messages; sometimes the last is read first. */
  private async say(who: Peer): Promise<void> {
    const said = [await this.speak(who)];
    if (this.random() < 0.4) said.push(await this.speak(who));
    await this.hear(who, this.random() < 0.5 ? said.reverse() : said);
    this.count('say', who);
  }

  /** A message that a commit overtakes. */
  private async sayLate(who: Peer): Promise<void> {
    const said = await this.speak(who);
    await this.change(this.pick(), {});
    await this.hear(who, [said]);
    this.count('say late', who);
    await this.check();
  }

  private async check(): Promise<void> {
    const secrets = await Promise.all(this.peers.map((peer) => peer.secret()));
    expect(new Set(secrets).size).toBe(1);
    const ours = this.peers.filter((peer) => peer instanceof EnginePeer);
    const digits = await Promise.all(ours.map((peer) => peer.authenticator()));
    expect(new Set(digits).size).toBeLessThanOrEqual(1);
    const names = this.peers.map(({ device }) => device).sort();
    for (const peer of this.peers) expect(await peer.members()).toEqual(names);
  }
}
