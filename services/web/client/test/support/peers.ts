// A member of a group as a walk sees it, whatever implementation of MLS is behind it: it keeps its
// own state. EnginePeer is the library's; test/support/core_crypto.ts has another.
import { decodeGroupState, getCiphersuiteFromName, getCiphersuiteImpl, mlsExporter } from 'ts-mls';

import type { DeviceKey, E2eeEngine } from '../../src/engine/index.ts';

/** Who makes the messages of a peer. */
export type Maker = 'ts-mls' | 'core-crypto';

export interface Change {
  /** MLSMessages with KeyPackages. */
  readonly add?: readonly Uint8Array[];
  /** Devices. */
  readonly remove?: readonly string[];
}

/** What a commit brings to the server, as MLSMessages. */
export interface Bundle {
  readonly commit: Uint8Array;
  readonly welcome: Uint8Array | undefined;
  readonly groupInfo: Uint8Array;
}

/** The server's answer: false when another commit has won the epoch. */
export type Deliver = (bundle: Bundle) => boolean;

export interface NewKeyPackage {
  readonly message: Uint8Array;
  readonly reference: Uint8Array;
}

export type Heard =
  | { readonly kind: 'application'; readonly plaintext: Uint8Array; readonly sender: string }
  | { readonly kind: 'commit' | 'proposal'; readonly active: boolean };

export interface Peer {
  readonly maker: Maker;
  readonly device: string;
  readonly signatureKey: Uint8Array;
  /** One that the next `join` uses. */
  keyPackage(): Promise<NewKeyPackage>;
  join(welcome: Uint8Array): Promise<void>;
  /** By an external commit, having lost its state. */
  rejoin(groupInfo: Uint8Array, deliver: Deliver): Promise<void>;
  /** Is in the new epoch afterwards if the commit was accepted, and unchanged if not. */
  commit(change: Change, deliver: Deliver): Promise<void>;
  say(plaintext: Uint8Array, authenticatedData: Uint8Array): Promise<Uint8Array>;
  receive(message: Uint8Array): Promise<Heard>;
  epoch(): Promise<bigint>;
  /** MLS-Exporter("exporter", "", 32) in hexadecimal: the same for all who share an epoch's keys. */
  secret(): Promise<string>;
  /** Sorted. */
  members(): Promise<string[]>;
  /** Is given up. */
  end(): void;
}

/** The library's own engine. */
export class EnginePeer implements Peer {
  readonly maker = 'ts-mls';
  state: Uint8Array = new Uint8Array();
  private packageSecret: Uint8Array = new Uint8Array();

  constructor(
    private readonly engine: E2eeEngine,
    private readonly key: DeviceKey,
  ) {}

  get device(): string {
    return this.key.device;
  }

  get signatureKey(): Uint8Array {
    return this.key.publicKey;
  }

  async found(groupId: Uint8Array): Promise<void> {
    this.state = await this.engine.createGroup(this.key, groupId);
  }

  async keyPackage(): Promise<NewKeyPackage> {
    const made = await this.engine.createKeyPackage(this.key);
    this.packageSecret = made.secret;
    return made;
  }

  async join(welcome: Uint8Array): Promise<void> {
    this.state = await this.engine.join(welcome, this.packageSecret);
  }

  async rejoin(groupInfo: Uint8Array, deliver: Deliver): Promise<void> {
    const pending = await this.engine.rejoin(this.key, groupInfo);
    if (deliver(pending)) this.state = pending.state;
  }

  async commit(change: Change, deliver: Deliver): Promise<void> {
    const pending = await this.engine.commit(this.state, change);
    if (deliver(pending)) this.state = pending.state;
  }

  async say(plaintext: Uint8Array, authenticatedData: Uint8Array): Promise<Uint8Array> {
    const { message, state } = await this.engine.encrypt(this.state, plaintext, authenticatedData);
    this.state = state;
    return message;
  }

  async receive(message: Uint8Array): Promise<Heard> {
    const received = await this.engine.receive(this.state, message);
    this.state = received.state;
    if (received.kind === 'application') return received;
    return { kind: received.kind, active: received.view.active };
  }

  async epoch(): Promise<bigint> {
    return this.engine.view(this.state).epoch;
  }

  async secret(): Promise<string> {
    const suite = await getCiphersuiteImpl(
      getCiphersuiteFromName('MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519'),
    );
    const [group] = decodeGroupState(this.state.slice(), 0)!;
    const { exporterSecret } = group.keySchedule;
    const secret = await mlsExporter(exporterSecret, 'exporter', new Uint8Array(), 32, suite);
    return Buffer.from(secret).toString('hex');
  }

  /** The 30 digits. */
  authenticator(): Promise<string> {
    return this.engine.authenticator(this.state);
  }

  async members(): Promise<string[]> {
    return this.engine
      .view(this.state)
      .members.map(({ device }) => device)
      .sort();
  }

  end(): void {}
}
