// End-to-end encryption as the rest of the library sees it: every step takes the state of a
// conversation as bytes and gives the new state as bytes, so that the caller can write it to disk
// together with what the step produced, or throw it away. Nothing here touches a disk or a network.

/** A device's long-lived Ed25519 key pair: the one with which it signs in. */
export interface DeviceKey {
  /** `devices/{device}`; the identity in every credential. */
  readonly device: string;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** The 32-byte seed. */
  readonly privateKey: Uint8Array;
}

/** How long a key package is valid from when it was made. */
export const KEY_PACKAGE_LIFETIME_SECONDS = 90 * 24 * 60 * 60;

/** A key package of our own, before anybody has used it. */
export interface OwnKeyPackage {
  /** KeyPackageRef (RFC 9420 §5.2), 32 bytes. */
  readonly reference: Uint8Array;
  /** The MLSMessage to publish. */
  readonly message: Uint8Array;
  /** What `join` needs. Secret: to be kept sealed, and deleted once used. */
  readonly secret: Uint8Array;
}

/** A device in a conversation, as the group's tree has it. */
export interface GroupMember {
  readonly device: string;
  readonly signatureKey: Uint8Array;
  readonly leafIndex: number;
}

/** What is public of a group's state. */
export interface GroupView {
  readonly groupId: Uint8Array;
  readonly epoch: bigint;
  readonly members: readonly GroupMember[];
  /** False once this device was removed: the state is of no more use. */
  readonly active: boolean;
}

/**
 * A change that was prepared and not yet accepted by the server. Keep the old state until it is:
 * when another commit wins the epoch, this one is thrown away whole.
 */
export interface PendingCommit {
  /** The MLSMessage of the commit. */
  readonly commit: Uint8Array;
  /** The MLSMessage of the Welcome for those who were added. */
  readonly welcome: Uint8Array | undefined;
  /** GroupInfo of the new epoch, with which a device that lost its state joins again. */
  readonly groupInfo: Uint8Array;
  /** The state from the next epoch on. */
  readonly state: Uint8Array;
}

/** What came out of a message. */
export type Received =
  | {
      readonly kind: 'application';
      readonly state: Uint8Array;
      readonly plaintext: Uint8Array;
      /** Who signed it, by the group's own tree; never what the server says. */
      readonly sender: string;
      readonly authenticatedData: Uint8Array;
    }
  | { readonly kind: 'commit' | 'proposal'; readonly state: Uint8Array; readonly view: GroupView };

/**
 * Says whether a key is the one that the named device really has. What it throws comes out of the
 * step that asked, as it is.
 */
export type VerifyDevice = (device: string, signatureKey: Uint8Array) => Promise<boolean>;

export interface EngineOptions {
  /** Asked for every credential that comes into a group. There is no default that trusts. */
  readonly verifyDevice: VerifyDevice;
  /** Seconds since 1970. */
  readonly now?: () => number;
}

/**
 * Why a step was refused: `stale` a message of an epoch that has passed or whose key was used, to
 * be skipped; `ahead` one of an epoch that is yet to come; `forged` whatever does not verify;
 * `gone` this device is no longer in the group; `malformed` bytes that are no such message,
 * or that somebody has changed.
 */
export type RefusalReason = 'stale' | 'ahead' | 'forged' | 'gone' | 'malformed';

export class EngineError extends Error {
  constructor(
    readonly reason: RefusalReason,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'EngineError';
  }
}

/**
 * One implementation of MLS (RFC 9420) with the suite
 * MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519. A step that fails throws an EngineError and has
 * changed nothing.
 */
export interface E2eeEngine {
  /** A fresh package of this device; lives 90 days. */
  createKeyPackage(key: DeviceKey): Promise<OwnKeyPackage>;
  /** A group with this device alone in it. */
  createGroup(key: DeviceKey, groupId: Uint8Array): Promise<Uint8Array>;
  /** The KeyPackageRefs of those whom a Welcome lets in. */
  welcomed(welcome: Uint8Array): Uint8Array[];
  /** The state with which a Welcome lets the owner of a package in. */
  join(welcome: Uint8Array, keyPackageSecret: Uint8Array): Promise<Uint8Array>;
  /** Lets a device in by itself, from the GroupInfo of the current epoch; its old leaf goes. */
  rejoin(key: DeviceKey, groupInfo: Uint8Array): Promise<PendingCommit>;
  /**
   * Adds the owners of these key packages and removes these devices. With fresh keys of this device,
   * unless it only adds.
   */
  commit(
    state: Uint8Array,
    change: { readonly add?: readonly Uint8Array[]; readonly remove?: readonly string[] },
    authenticatedData?: Uint8Array,
  ): Promise<PendingCommit>;
  encrypt(
    state: Uint8Array,
    plaintext: Uint8Array,
    authenticatedData?: Uint8Array,
  ): Promise<{ readonly state: Uint8Array; readonly message: Uint8Array }>;
  receive(state: Uint8Array, message: Uint8Array): Promise<Received>;
  view(state: Uint8Array): GroupView;
  /**
   * 30 digits that are the same on every device of an epoch and on no other: two people who compare
   * them know that nobody stands between them.
   */
  authenticator(state: Uint8Array): Promise<string>;
}
