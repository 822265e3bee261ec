// What is kept of a conversation, each under its name in the sealed store.
import type { AttachmentDescriptor } from '../attachments/descriptor.ts';
import { fromHex, fromJsonBytes, toHex, toJsonBytes } from '../base/bytes.ts';
import type { Transaction } from '../store/sealed_store.ts';

/**
 * `in` the group; `removed` from it by a commit; `lost`: a commit that everybody else takes could
 * not be followed, so that nothing after it can be read.
 */
export type Standing = 'in' | 'removed' | 'lost';

/** The group of a conversation as this device has it. */
export interface GroupRecord {
  /** Of no bytes where this device was let in by a Welcome that it cannot open: it is lost. */
  readonly state: Uint8Array;
  /** The place of the commit that let this device in: it reads what comes after. */
  readonly joined: bigint;
  readonly standing: Standing;
  /** The commit that could not be followed, until the server has been told. */
  readonly failed?: FailedCommit;
}

export interface FailedCommit {
  /** The epoch that it ended. */
  readonly epoch: string;
  /** SHA-256, in hexadecimal digits. */
  readonly digest: string;
  /** The group's id, in hexadecimal digits. */
  readonly groupId: string;
}

/** Key packages that were asked for. The same id gets the same packages, after a crash too. */
export interface ClaimRecord {
  readonly claimId: string;
  /** Sorted. */
  readonly devices: readonly string[];
}

/** A commit that the server may have heard of, with all that it says beside it. */
export interface PendingRecord {
  readonly commitId: string;
  /** The epoch that it ends. */
  readonly epoch: bigint;
  readonly commit: Uint8Array;
  readonly welcome: Uint8Array | undefined;
  readonly groupInfo: Uint8Array;
  /** Devices, as the server is told. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** The group once it is accepted. */
  readonly state: Uint8Array;
  /** This device comes into the group by it. */
  readonly joins: boolean;
  /** It founds a group in place of this one. */
  readonly replaces?: ReplacedGroup;
  /** Its place, once the server has told it: what comes before is read first. */
  readonly sequence?: string;
}

export interface ReplacedGroup {
  /** In hexadecimal digits. */
  readonly groupId: string;
  readonly epoch: string;
}

/** A message on its way. */
export interface OutboxEntry {
  readonly messageId: string;
  readonly text: string;
  /** Files that go with it. */
  readonly attachments?: readonly AttachmentDescriptor[];
  /** Encrypted: from then on these bytes are sent, and no others. */
  readonly message?: string;
  /** Its place, once the server has it: then only its echo is waited for. */
  readonly sequence?: string;
}

const GROUP = 'group/';
const CLAIM = 'claim/';
const PENDING = 'pending-commit/';
const OUTBOX = 'outbox/';

/** The part of a store that reads. */
export type Reader = Pick<Transaction, 'get'>;

async function read<T>(from: Reader, name: string): Promise<T | undefined> {
  const bytes = await from.get(name);
  return bytes === undefined ? undefined : fromJsonBytes<T>(bytes);
}

interface GroupForm {
  readonly state: string;
  readonly joined: string;
  readonly standing: Standing;
  readonly failed?: FailedCommit;
}

export async function groupOf(
  from: Reader,
  conversation: string,
): Promise<GroupRecord | undefined> {
  const kept = await read<GroupForm>(from, GROUP + conversation);
  return kept && { ...kept, state: fromHex(kept.state), joined: BigInt(kept.joined) };
}

export function putGroup(transaction: Transaction, conversation: string, group: GroupRecord): void {
  const { state, joined, standing, failed } = group;
  const form: GroupForm = {
    state: toHex(state),
    joined: joined.toString(),
    standing,
    ...(failed && { failed }),
  };
  transaction.put(GROUP + conversation, toJsonBytes(form));
}

/** The conversations whose group this device has had a part in, by the names of records. */
export async function conversationsWithGroup(store: {
  list(prefix: string): Promise<string[]>;
}): Promise<string[]> {
  return (await store.list(GROUP)).map((name) => name.slice(GROUP.length));
}

/** The conversations that something is to be sent to. */
export async function conversationsWithOutbox(store: {
  list(prefix: string): Promise<string[]>;
}): Promise<string[]> {
  return (await store.list(OUTBOX)).map((name) => name.slice(OUTBOX.length));
}

export function claimOf(from: Reader, conversation: string): Promise<ClaimRecord | undefined> {
  return read<ClaimRecord>(from, CLAIM + conversation);
}

export function putClaim(transaction: Transaction, conversation: string, claim: ClaimRecord): void {
  transaction.put(CLAIM + conversation, toJsonBytes(claim));
}

export function deleteClaim(transaction: Transaction, conversation: string): void {
  transaction.delete(CLAIM + conversation);
}

interface PendingForm {
  readonly commitId: string;
  readonly epoch: string;
  readonly commit: string;
  readonly welcome?: string;
  readonly groupInfo: string;
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly state: string;
  readonly joins: boolean;
  readonly replaces?: ReplacedGroup;
  readonly sequence?: string;
}

export async function pendingOf(
  from: Reader,
  conversation: string,
): Promise<PendingRecord | undefined> {
  const kept = await read<PendingForm>(from, PENDING + conversation);
  if (kept === undefined) return undefined;
  return {
    ...kept,
    epoch: BigInt(kept.epoch),
    commit: fromHex(kept.commit),
    welcome: kept.welcome === undefined ? undefined : fromHex(kept.welcome),
    groupInfo: fromHex(kept.groupInfo),
    state: fromHex(kept.state),
  };
}

export function putPending(
  transaction: Transaction,
  conversation: string,
  pending: PendingRecord,
): void {
  const { welcome, ...rest } = pending;
  const form: PendingForm = {
    ...rest,
    epoch: pending.epoch.toString(),
    commit: toHex(pending.commit),
    ...(welcome && { welcome: toHex(welcome) }),
    groupInfo: toHex(pending.groupInfo),
    state: toHex(pending.state),
  };
  transaction.put(PENDING + conversation, toJsonBytes(form));
}

export function deletePending(transaction: Transaction, conversation: string): void {
  transaction.delete(PENDING + conversation);
}

/** What waits to be sent and what was sent and has not come back yet, in order. */
export async function outboxOf(
  from: Reader,
  conversation: string,
): Promise<readonly OutboxEntry[]> {
  return (await read<OutboxEntry[]>(from, OUTBOX + conversation)) ?? [];
}

export function putOutbox(
  transaction: Transaction,
  conversation: string,
  entries: readonly OutboxEntry[],
): void {
  if (entries.length === 0) transaction.delete(OUTBOX + conversation);
  else transaction.put(OUTBOX + conversation, toJsonBytes(entries));
}
