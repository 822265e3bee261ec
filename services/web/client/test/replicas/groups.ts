// Devices that commit with real MLS, call by call: what the library would do by itself is the
// test's to do, and to do at the wrong moment.
import { randomBytes } from 'node:crypto';

import { EnvelopeKind, GroupService, KeyService, MessagingService } from '../../src/api.ts';
import { TsMlsEngine } from '../../src/index.ts';
import { insist } from '../support/until.ts';
import type { Client } from './clients.ts';

export const newId = () => randomBytes(16).toString('hex');

/** A commit that is ready to be sent, and the state that it leads to. */
export interface ReadyCommit {
  readonly request: Bundle;
  readonly state: Uint8Array;
}

/** What CommitBundle takes. */
export interface Bundle {
  readonly conversation: string;
  readonly commitId: string;
  readonly commit: Uint8Array;
  readonly welcomes: { readonly welcome: Uint8Array; readonly devices: string[] }[];
  readonly devicesAdded: string[];
  readonly devicesRemoved: string[];
  readonly groupInfo: Uint8Array;
}

/** A device in the group of one conversation. */
export class GroupDevice {
  state: Uint8Array = new Uint8Array();
  /** Up to where it has read. */
  cursor = 0n;

  private constructor(
    readonly client: Client,
    readonly conversation: string,
    readonly engine: TsMlsEngine,
  ) {}

  static async of(client: Client, conversation: string): Promise<GroupDevice> {
    const engine = await TsMlsEngine.create({ verifyDevice: async () => true });
    return new GroupDevice(client, conversation, engine);
  }

  get device(): string {
    return this.client.session.deviceKey.device;
  }

  /** Founds the group, alone in it. */
  async found(): Promise<void> {
    const { deviceKey } = this.client.session;
    this.state = await this.engine.createGroup(deviceKey, randomBytes(16));
  }

  /** Publishes a key package; gives its private half. */
  async publish(): Promise<Uint8Array> {
    const made = await this.engine.createKeyPackage(this.client.session.deviceKey);
    const request = { keyPackages: [made.message] };
    await insist('a key package to be published', () =>
      this.client.session.unary(KeyService.method.publishKeyPackages, request),
    );
    return made.secret;
  }

  /** A key package of that device. */
  async claim(device: string): Promise<Uint8Array> {
    const request = { conversation: this.conversation, devices: [device], claimId: newId() };
    const { keyPackages } = await insist('a key package', () =>
      this.client.session.unary(KeyService.method.claimKeyPackages, request),
    );
    const [claimed] = keyPackages;
    if (claimed === undefined) throw new Error(`${device} has no key package`);
    return claimed.keyPackage;
  }

  /** Fresh keys, and what else should change. Nothing of it is kept here. */
  async prepare(
    added: ReadonlyMap<string, Uint8Array> = new Map(),
    removed: readonly string[] = [],
  ): Promise<ReadyCommit> {
    const change = { add: [...added.values()], remove: removed };
    const { commit, welcome, groupInfo, state } = await this.engine.commit(this.state, change);
    const devicesAdded = [...added.keys()];
    const request = {
      conversation: this.conversation,
      commitId: newId(),
      commit,
      welcomes: welcome === undefined ? [] : [{ welcome, devices: devicesAdded }],
      devicesAdded,
      devicesRemoved: [...removed],
      groupInfo,
    };
    return { request, state };
  }

  commit({ request }: ReadyCommit) {
    return this.client.session.unary(GroupService.method.commitBundle, request);
  }

  /** The server has taken it: what it led to is the group now. Nobody can receive their own. */
  accept({ state }: ReadyCommit, { sequence }: { readonly sequence: bigint }): void {
    if (sequence !== this.cursor + 1n) throw new Error(`${sequence} after ${this.cursor}`);
    this.state = state;
    this.cursor = sequence;
  }

  /** The conversation's group, as the server has it. */
  group() {
    const { conversation } = this;
    return insist('the group', () =>
      this.client.session.unary(GroupService.method.getGroup, { conversation }),
    );
  }

  /** Joins by the Welcome that waits for it. */
  async join(secret: Uint8Array): Promise<void> {
    const { welcomes } = await insist('the Welcome', () =>
      this.client.session.unary(GroupService.method.fetchWelcomes, {}),
    );
    const [welcome] = welcomes;
    if (welcome === undefined) throw new Error('no Welcome waits for the device');
    this.state = await this.engine.join(welcome.welcome, secret);
    this.cursor = welcome.sequence;
  }

  /** Reads on, and follows each commit that it finds. Gives the epochs that they ended. */
  async read(): Promise<bigint[]> {
    const epochs: bigint[] = [];
    for (;;) {
      const request = { conversation: this.conversation, afterSequence: this.cursor };
      const { envelopes, hasMore } = await insist('a page', () =>
        this.client.session.unary(MessagingService.method.fetchMessages, request),
      );
      for (const { sequence, kind, epoch, payload } of envelopes) {
        if (sequence !== this.cursor + 1n) throw new Error(`${sequence} after ${this.cursor}`);
        this.cursor = sequence;
        if (kind !== EnvelopeKind.COMMIT) continue;
        this.state = (await this.engine.receive(this.state, payload)).state;
        epochs.push(epoch);
      }
      if (!hasMore) return epochs;
    }
  }

  authenticator(): Promise<string> {
    return this.engine.authenticator(this.state);
  }
}
