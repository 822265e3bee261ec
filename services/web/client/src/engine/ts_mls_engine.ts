import {
  createApplicationMessage,
  createCommit,
  createGroup,
  createGroupInfoWithExternalPubAndRatchetTree,
  decodeGroupState,
  decodeMlsMessage,
  encodeGroupState,
  encodeMlsMessage,
  emptyPskIndex,
  generateKeyPackageWithKey,
  getCiphersuiteFromName,
  getCiphersuiteImpl,
  joinGroup,
  joinGroupExternal,
  makePskIndex,
  mlsExporter,
  processPrivateMessage,
  processPublicMessage,
  zeroOutUint8Array,
} from 'ts-mls';
import type {
  Capabilities,
  CiphersuiteImpl,
  ClientConfig,
  ClientState,
  Credential,
  KeyPackage,
  MLSMessage,
  PrivateKeyPackage,
  PrivateMessage,
  Proposal,
  RatchetTree,
} from 'ts-mls';
import { makeKeyPackageRef } from 'ts-mls/keyPackage.js';
import { CryptoVerificationError, ValidationError } from 'ts-mls/mlsError.js';
import { decryptSenderData } from 'ts-mls/privateMessage.js';

import { EngineError, KEY_PACKAGE_LIFETIME_SECONDS } from './engine.ts';
import type {
  DeviceKey,
  E2eeEngine,
  EngineOptions,
  GroupMember,
  GroupView,
  OwnKeyPackage,
  PendingCommit,
  Received,
} from './engine.ts';

const SUITE = 'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519';
const DAY = 24 * 60 * 60;
/** Of a key package, and of the leaf made of it. */
const LIFETIME = KEY_PACKAGE_LIFETIME_SECONDS;
/** A clock may be this far behind ours, in seconds. */
const CLOCK_SLACK = DAY;
const AUTHENTICATOR_LABEL = 'handrail authenticator';
const DIGITS = 30;

const CAPABILITIES: Capabilities = {
  versions: ['mls10'],
  ciphersuites: [SUITE],
  extensions: [],
  proposals: [],
  credentials: ['basic'],
};

const text = new TextEncoder();

function credentialOf(device: string): Credential {
  return { credentialType: 'basic', identity: text.encode(device) };
}

function deviceOf(credential: Credential): string {
  if (credential.credentialType !== 'basic') {
    throw new EngineError('forged', 'a credential is not a basic one');
  }
  return new TextDecoder('utf-8', { fatal: true }).decode(credential.identity);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function decode(message: Uint8Array): MLSMessage {
  const decoded = decodeMlsMessage(message, 0);
  if (decoded === undefined || decoded[1] !== message.length) {
    throw new EngineError('malformed', 'these bytes are no MLS message');
  }
  return decoded[0];
}

function membersOf(tree: RatchetTree): GroupMember[] {
  const members: GroupMember[] = [];
  tree.forEach((node, i) => {
    if (node?.nodeType !== 'leaf') return;
    members.push({
      device: deviceOf(node.leaf.credential),
      signatureKey: node.leaf.signaturePublicKey,
      leafIndex: i / 2,
    });
  });
  return members;
}

/** Nobody could say whose key it is, which is not the message's fault. */
class VerifyFailure {
  constructor(readonly error: unknown) {}
}

/** The library's refusals in our words. */
async function refusing<T>(step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (error instanceof EngineError) throw error;
    if (error instanceof VerifyFailure) throw error.error;
    if (error instanceof CryptoVerificationError || error instanceof ValidationError) {
      throw new EngineError('forged', error.message, { cause: error });
    }
    throw new EngineError('malformed', error instanceof Error ? error.message : String(error), {
      cause: error,
    });
  }
}

/** Keeps a pair of byte strings as one: the length of the first in 4 bytes, then both. */
function pack(first: Uint8Array, second: Uint8Array): Uint8Array {
  const packed = new Uint8Array(4 + first.length + second.length);
  new DataView(packed.buffer).setUint32(0, first.length);
  packed.set(first, 4);
  packed.set(second, 4 + first.length);
  return packed;
}

function unpack(packed: Uint8Array): [Uint8Array, Uint8Array] {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const length = packed.length < 4 ? Infinity : view.getUint32(0);
  if (4 + length > packed.length) throw new EngineError('malformed', 'no key package of ours');
  return [packed.slice(4, 4 + length), packed.slice(4 + length)];
}

/**
 * The engine on ts-mls 1.6.4 with the patch of `patches/`. Its unsafe defaults are replaced:
 * credentials are verified, lifetimes end and are checked, the tree goes with the Welcome, and a
 * device has one signature key.
 */
export class TsMlsEngine implements E2eeEngine {
  private constructor(
    private readonly suite: CiphersuiteImpl,
    private readonly config: ClientConfig,
    private readonly now: () => number,
  ) {}

  static async create(options: EngineOptions): Promise<TsMlsEngine> {
    const suite = await getCiphersuiteImpl(getCiphersuiteFromName(SUITE));
    const now = options.now ?? (() => Math.floor(Date.now() / 1000));
    const config: ClientConfig = {
      // The server delivers in order, so little has to be kept.
      keyRetentionConfig: {
        retainKeysForGenerations: 10,
        retainKeysForEpochs: 4,
        maximumForwardRatchetSteps: 200,
      },
      lifetimeConfig: {
        maximumTotalLifetime: BigInt(LIFETIME + 2 * CLOCK_SLACK),
        validateLifetimeOnReceive: true,
      },
      keyPackageEqualityConfig: {
        compareKeyPackages: (a, b) => sameIdentity(a.leafNode.credential, b.leafNode.credential),
        compareKeyPackageToLeafNode: (a, b) => sameIdentity(a.leafNode.credential, b.credential),
      },
      paddingConfig: { kind: 'padUntilLength', padUntilLength: 256 },
      authService: {
        validateCredential: async (credential, signatureKey) => {
          const device = deviceOf(credential);
          return options.verifyDevice(device, signatureKey).catch((error: unknown) => {
            throw new VerifyFailure(error);
          });
        },
      },
    };
    return new TsMlsEngine(suite, config, now);
  }

  async createKeyPackage(key: DeviceKey): Promise<OwnKeyPackage> {
    const { publicPackage, privatePackage } = await this.makeKeyPackage(key);
    const message = encodeMlsMessage({
      version: 'mls10',
      wireformat: 'mls_key_package',
      keyPackage: publicPackage,
    });
    const secrets = pack(
      privatePackage.initPrivateKey,
      pack(privatePackage.hpkePrivateKey, privatePackage.signaturePrivateKey),
    );
    return {
      reference: await makeKeyPackageRef(publicPackage, this.suite.hash),
      message,
      secret: pack(message, secrets),
    };
  }

  async createGroup(key: DeviceKey, groupId: Uint8Array): Promise<Uint8Array> {
    const { publicPackage, privatePackage } = await this.makeKeyPackage(key);
    const state = await createGroup(
      groupId,
      publicPackage,
      privatePackage,
      [],
      this.suite,
      this.config,
    );
    return encodeGroupState(state);
  }

  welcomed(welcome: Uint8Array): Uint8Array[] {
    const message = decode(welcome);
    if (message.wireformat !== 'mls_welcome') {
      throw new EngineError('malformed', 'this is no Welcome');
    }
    return message.welcome.secrets.map(({ newMember }) => newMember);
  }

  async join(welcome: Uint8Array, keyPackageSecret: Uint8Array): Promise<Uint8Array> {
    return refusing(async () => {
      const message = decode(welcome);
      if (message.wireformat !== 'mls_welcome') {
        throw new EngineError('malformed', 'this is no Welcome');
      }
      const [publicPackage, privatePackage] = this.readSecret(keyPackageSecret);
      const state = await joinGroup(
        message.welcome,
        publicPackage,
        privatePackage,
        emptyPskIndex,
        this.suite,
        undefined,
        undefined,
        this.config,
      );
      return encodeGroupState(state);
    });
  }

  async rejoin(key: DeviceKey, groupInfo: Uint8Array): Promise<PendingCommit> {
    return refusing(async () => {
      const message = decode(groupInfo);
      if (message.wireformat !== 'mls_group_info') {
        throw new EngineError('malformed', 'this is no GroupInfo');
      }
      const { publicPackage, privatePackage } = await this.makeKeyPackage(key);
      const tree = message.groupInfo.extensions.some((e) => e.extensionType === 'ratchet_tree');
      if (!tree) throw new EngineError('malformed', 'the GroupInfo carries no tree');
      const joined = await this.joinExternal(message, publicPackage, privatePackage);
      return this.pending(
        { version: 'mls10', wireformat: 'mls_public_message', publicMessage: joined.publicMessage },
        undefined,
        joined.newState,
      );
    });
  }

  async commit(
    state: Uint8Array,
    change: { readonly add?: readonly Uint8Array[]; readonly remove?: readonly string[] },
    authenticatedData: Uint8Array = new Uint8Array(),
  ): Promise<PendingCommit> {
    return refusing(async () => {
      const group = this.load(state);
      const proposals: Proposal[] = [];
      const members = membersOf(group.ratchetTree);
      for (const device of change.remove ?? []) {
        const member = members.find((m) => m.device === device);
        if (member === undefined) throw new EngineError('gone', 'no such device in the group');
        proposals.push({ proposalType: 'remove', remove: { removed: member.leafIndex } });
      }
      for (const bytes of change.add ?? []) {
        const message = decode(bytes);
        if (message.wireformat !== 'mls_key_package') {
          throw new EngineError('malformed', 'this is no KeyPackage');
        }
        proposals.push({ proposalType: 'add', add: { keyPackage: message.keyPackage } });
      }
      const result = await createCommit(
        { state: group, cipherSuite: this.suite, pskIndex: makePskIndex(group, {}) },
        { extraProposals: proposals, ratchetTreeExtension: true, authenticatedData },
      );
      const welcome =
        result.welcome === undefined
          ? undefined
          : encodeMlsMessage({
              version: 'mls10',
              wireformat: 'mls_welcome',
              welcome: result.welcome,
            });
      const pending = await this.pending(result.commit, welcome, result.newState);
      result.consumed.forEach(zeroOutUint8Array);
      return pending;
    });
  }

  async encrypt(
    state: Uint8Array,
    plaintext: Uint8Array,
    authenticatedData: Uint8Array = new Uint8Array(),
  ): Promise<{ readonly state: Uint8Array; readonly message: Uint8Array }> {
    return refusing(async () => {
      const group = this.load(state);
      const result = await createApplicationMessage(
        group,
        plaintext,
        this.suite,
        authenticatedData,
      );
      const message = encodeMlsMessage({
        version: 'mls10',
        wireformat: 'mls_private_message',
        privateMessage: result.privateMessage,
      });
      const next = encodeGroupState(result.newState);
      result.consumed.forEach(zeroOutUint8Array);
      return { state: next, message };
    });
  }

  async receive(state: Uint8Array, message: Uint8Array): Promise<Received> {
    return refusing(async () => {
      const group = this.load(state);
      const decoded = decode(message);
      switch (decoded.wireformat) {
        case 'mls_private_message':
          return this.receivePrivate(group, decoded.privateMessage);
        case 'mls_public_message': {
          this.checkEpoch(group, decoded.publicMessage.content.epoch, 'handshake');
          const result = await processPublicMessage(
            group,
            decoded.publicMessage,
            makePskIndex(group, {}),
            this.suite,
          );
          const kind =
            decoded.publicMessage.content.contentType === 'commit' ? 'commit' : 'proposal';
          return this.changed(kind, result.newState, result.consumed);
        }
        default:
          throw new EngineError('malformed', 'this is no message of a group');
      }
    });
  }

  view(state: Uint8Array): GroupView {
    return this.viewOf(this.load(state, 'any'));
  }

  async authenticator(state: Uint8Array): Promise<string> {
    const group = this.load(state);
    // 16 bytes more than the digits need, so that none is more likely than another.
    const secret = await mlsExporter(
      group.keySchedule.exporterSecret,
      AUTHENTICATOR_LABEL,
      group.keySchedule.epochAuthenticator,
      32,
      this.suite,
    );
    let number = 0n;
    for (const byte of secret) number = (number << 8n) | BigInt(byte);
    return (number % 10n ** BigInt(DIGITS)).toString().padStart(DIGITS, '0');
  }

  private async makeKeyPackage(
    key: DeviceKey,
  ): Promise<{ publicPackage: KeyPackage; privatePackage: PrivateKeyPackage }> {
    const now = this.now();
    return generateKeyPackageWithKey(
      credentialOf(key.device),
      CAPABILITIES,
      { notBefore: BigInt(now - CLOCK_SLACK), notAfter: BigInt(now + LIFETIME) },
      [],
      { signKey: key.privateKey, publicKey: key.publicKey },
      this.suite,
    );
  }

  /** Joins with the old leaf of the same device removed, where there is one. */
  private async joinExternal(
    message: Extract<MLSMessage, { wireformat: 'mls_group_info' }>,
    publicPackage: KeyPackage,
    privatePackage: PrivateKeyPackage,
  ): ReturnType<typeof joinGroupExternal> {
    const join = (resync: boolean) =>
      joinGroupExternal(
        message.groupInfo,
        publicPackage,
        privatePackage,
        resync,
        this.suite,
        undefined,
        this.config,
      );
    const device = deviceOf(publicPackage.leafNode.credential);
    const before = await join(false).catch(() => undefined);
    const known =
      before !== undefined &&
      membersOf(before.newState.ratchetTree).filter((m) => m.device === device).length > 1;
    return known || before === undefined ? join(true) : before;
  }

  private readSecret(secret: Uint8Array): [KeyPackage, PrivateKeyPackage] {
    const [message, secrets] = unpack(secret);
    const decoded = decode(message);
    if (decoded.wireformat !== 'mls_key_package') {
      throw new EngineError('malformed', 'no key package of ours');
    }
    const [initPrivateKey, rest] = unpack(secrets);
    const [hpkePrivateKey, signaturePrivateKey] = unpack(rest);
    return [decoded.keyPackage, { initPrivateKey, hpkePrivateKey, signaturePrivateKey }];
  }

  private load(state: Uint8Array, which: 'active' | 'any' = 'active'): ClientState {
    // A copy: the library overwrites used keys in place.
    const decoded = decodeGroupState(state.slice(), 0);
    if (decoded === undefined) throw new EngineError('malformed', 'no state of a group');
    if (which === 'active' && decoded[0].groupActiveState.kind !== 'active') {
      throw new EngineError('gone', 'this device is no longer in the group');
    }
    return { ...decoded[0], clientConfig: this.config };
  }

  private viewOf(group: ClientState): GroupView {
    return {
      groupId: group.groupContext.groupId,
      epoch: group.groupContext.epoch,
      members: membersOf(group.ratchetTree),
      active: group.groupActiveState.kind === 'active',
    };
  }

  private async pending(
    commit: MLSMessage,
    welcome: Uint8Array | undefined,
    newState: ClientState,
  ): Promise<PendingCommit> {
    const info = await createGroupInfoWithExternalPubAndRatchetTree(newState, [], this.suite);
    return {
      commit: encodeMlsMessage(commit),
      welcome,
      groupInfo: encodeMlsMessage({
        version: 'mls10',
        wireformat: 'mls_group_info',
        groupInfo: info,
      }),
      state: encodeGroupState(newState),
    };
  }

  private changed(
    kind: 'commit' | 'proposal',
    newState: ClientState,
    consumed: readonly Uint8Array[],
  ): Received {
    const received = { kind, state: encodeGroupState(newState), view: this.viewOf(newState) };
    consumed.forEach(zeroOutUint8Array);
    return received;
  }

  private checkEpoch(group: ClientState, epoch: bigint, content: 'handshake' | 'application') {
    const current = group.groupContext.epoch;
    if (epoch > current) throw new EngineError('ahead', 'a message of an epoch yet to come');
    if (epoch === current) return;
    if (content === 'handshake' || !group.historicalReceiverData.has(epoch)) {
      throw new EngineError('stale', 'a message of an epoch that has passed');
    }
  }

  private async receivePrivate(group: ClientState, message: PrivateMessage): Promise<Received> {
    const content = message.contentType === 'application' ? 'application' : 'handshake';
    this.checkEpoch(group, message.epoch, content);
    const sender = content === 'application' ? await this.senderOf(group, message) : '';
    const result = await processPrivateMessage(
      group,
      message,
      makePskIndex(group, {}),
      this.suite,
    ).catch((error: unknown) => {
      // The key of a message is deleted when it has been read.
      const known = error instanceof ValidationError && /gen in the past/i.test(error.message);
      if (known) throw new EngineError('stale', 'this message was read before', { cause: error });
      throw error;
    });
    if (result.kind === 'newState') {
      const kind = message.contentType === 'commit' ? 'commit' : 'proposal';
      return this.changed(kind, result.newState, result.consumed);
    }
    const state = encodeGroupState(result.newState);
    result.consumed.forEach(zeroOutUint8Array);
    return {
      kind: 'application',
      state,
      plaintext: result.message,
      sender,
      authenticatedData: message.authenticatedData,
    };
  }

  /**
   * The library verifies a message against the leaf that the sender data names, and does not tell
   * which: we read the same sender data.
   */
  private async senderOf(group: ClientState, message: PrivateMessage): Promise<string> {
    const past = group.historicalReceiverData.get(message.epoch);
    const current = message.epoch === group.groupContext.epoch;
    const secret = current ? group.keySchedule.senderDataSecret : past?.senderDataSecret;
    const tree = current ? group.ratchetTree : past?.ratchetTree;
    if (secret === undefined || tree === undefined) {
      throw new EngineError('stale', 'a message of an epoch that has passed');
    }
    const data = await decryptSenderData(message, secret, this.suite);
    const sender = membersOf(tree).find((m) => m.leafIndex === data?.leafIndex);
    if (sender === undefined) throw new EngineError('forged', 'a message of nobody in the group');
    return sender.device;
  }
}

function sameIdentity(a: Credential, b: Credential): boolean {
  return (
    a.credentialType === 'basic' &&
    b.credentialType === 'basic' &&
    sameBytes(a.identity, b.identity)
  );
}
