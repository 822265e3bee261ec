import { fromHex, newRequestId, toHex } from '../base/bytes.ts';
import type { Inbox } from '../delivery/inbox.ts';
import { EngineError } from '../engine/engine.ts';
import type { DeviceKey, E2eeEngine, PendingCommit } from '../engine/engine.ts';
import {
  GroupDeviceState,
  GroupMending,
  GroupService,
} from '../gen/handrail/messaging/v1/group_pb.ts';
import type { Group } from '../gen/handrail/messaging/v1/group_pb.ts';
import { KeyService } from '../gen/handrail/messaging/v1/key_service_pb.ts';
import type { ClaimedKeyPackage } from '../gen/handrail/messaging/v1/key_service_pb.ts';
import { ConversationState } from '../gen/handrail/messaging/v1/messaging_pb.ts';
import type { SealedStore } from '../store/sealed_store.ts';
import { fullJitterMs } from '../transport/backoff.ts';
import { HandrailError } from '../transport/errors.ts';
import type { Transport } from '../transport/transport.ts';
import { ConversationError } from './events.ts';
import { isNothing, planChange } from './plan.ts';
import type { Plan } from './plan.ts';
import { claimOf, deleteClaim, groupOf, pendingOf, putClaim, putPending } from './records.ts';
import type { GroupRecord, PendingRecord, ReplacedGroup } from './records.ts';
import type { Steps } from './steps.ts';

/** What is wanted of a group beyond that it holds the right devices. */
export type Wish =
  /** Nothing; where there is no group, none is made. */
  | 'tidy'
  /** That there is one, with this device in it. */
  | 'start'
  /** Fresh keys of this device. */
  | 'fresh-keys';

/**
 * `incomplete`: a device has no key package with which it could be let in. `closed`: nothing is
 * changed there any more.
 */
export type Settled = 'whole' | 'incomplete' | 'closed';

export interface GroupChangesOptions {
  readonly transport: Transport;
  readonly store: SealedStore;
  readonly engine: E2eeEngine;
  readonly deviceKey: DeviceKey;
  readonly inbox: Pick<Inbox, 'fetch'>;
  readonly steps: Steps;
  /** Before anybody is let in: whose devices the server says there are. */
  readonly onServer: (server: Group) => Promise<void>;
  readonly onProblem: (error: Error) => void;
  readonly random: () => number;
}

/** So often others may be faster: with eight devices that all want to, one wins each time. */
const MAX_TRIES = 12;
const AFTER_CONFLICT = { firstMs: 40, capMs: 2_000 };
const GROUP_ID_BYTES = 16;

/** Reasons that say that this very commit will never be taken. */
const REFUSED = [
  'EPOCH_CONFLICT',
  'GROUP_CHANGE_INVALID',
  'GROUP_MISMATCH',
  'DEVICE_NOT_IN_GROUP',
  'REQUEST_ID_REUSED',
  'FIELD_INVALID',
  'CONVERSATION_CLOSED',
  'GROUP_RESET_NOT_AGREED',
];
/** Those after which another commit may be. */
const WORTH_ANOTHER = ['EPOCH_CONFLICT', 'GROUP_CHANGE_INVALID', 'GROUP_MISMATCH'];

/** What is wrong with a GroupInfo by which nobody will ever join. */
const USELESS = ['malformed', 'forged'];

type Package = Pick<ClaimedKeyPackage, 'device' | 'keyPackage'>;

/** What one commit is made of. */
interface Making {
  /** Undefined: a new group. */
  readonly group: GroupRecord | undefined;
  readonly epoch: bigint;
  readonly plan: Plan;
  readonly packages: readonly Package[];
  /** The group that ends. */
  readonly replaces?: ReplacedGroup;
}

/**
 * Changes groups: makes them, lets devices in and puts them out. A commit is in the store before
 * the server hears of it, with the group that it leads to, and that becomes the group when the
 * server has taken the commit; when another one was faster, it is made anew.
 */
export class GroupChanges {
  constructor(private readonly options: GroupChangesOptions) {}

  /**
   * Sees to it that the group holds every device of the members and nobody else, and to the wish.
   * Goes on with what was begun before a crash. Errors: ConversationError `nobody-ready`,
   * `not-in-group`, `contended`; HandrailError CONVERSATION_CLOSED; those of the calls, after which
   * it is repeated.
   */
  async settle(conversation: string, wish: Wish): Promise<Settled> {
    let fresh = wish !== 'fresh-keys';
    for (let attempt = 1; attempt <= MAX_TRIES; ++attempt) {
      const gone = await this.submit(conversation);
      if (gone === 'renewed') fresh = true;
      if (gone === 'refused') await this.pause(attempt);
      const server = await this.whereItIs(conversation);
      if (server.state === ConversationState.CLOSED) {
        if (wish === 'tidy') return 'closed';
        throw closed();
      }
      const group = await groupOf(this.options.store, conversation);
      if (server.groupId.length === 0) {
        if (wish === 'tidy') return 'whole';
        await this.prepare(conversation, server, undefined);
        continue;
      }
      if (group?.standing !== 'in' || !isOf(group, server, this.options.engine)) {
        await this.mend(conversation, server, group);
        continue;
      }
      const view = this.options.engine.view(group.state);
      if (view.epoch !== server.epoch) {
        // Of a person who left and came back: what lies between is for nobody to read any more.
        if (view.epoch < server.epoch && !this.isCountedIn(server)) throw notInGroup();
        // Somebody was faster than we could read, or the stream is behind: once more.
        if (attempt > 1) await this.pause(attempt);
        continue;
      }
      const plan = planChange(server, view, this.options.deviceKey.device);
      if (isNothing(plan) && fresh) return 'whole';
      if (!(await this.prepare(conversation, server, { group, plan, fresh }))) return 'incomplete';
    }
    throw new ConversationError('contended', 'others changed the group each time');
  }

  /**
   * Starts the group anew in place of the one that the server has, with every device of which there
   * is a key package. Whoever is faster wins, and this device goes on in theirs. Errors: as settle;
   * HandrailError GROUP_RESET_NOT_AGREED among more than two while most devices get on.
   */
  async restart(conversation: string): Promise<Settled> {
    await this.submit(conversation);
    const server = await this.whereItIs(conversation);
    if (server.state === ConversationState.CLOSED) throw closed();
    if (server.groupId.length > 0) await this.prepareReset(conversation, server);
    return this.settle(conversation, 'start');
  }

  private async prepareReset(conversation: string, server: Group): Promise<void> {
    const { add } = planChange(server, undefined, this.options.deviceKey.device);
    const plan: Plan = { add, remove: [], removedAtServer: [] };
    const claimed = await this.claim(conversation, add);
    const replaces = { groupId: toHex(server.groupId), epoch: server.epoch.toString() };
    const making: Making = { group: undefined, epoch: 0n, plan, packages: claimed, replaces };
    const packages = await this.usable(making);
    const possible = without(plan, packages);
    this.checkSomebody(server, possible.add);
    await this.keep(conversation, { ...making, plan: possible, packages });
  }

  /** A device that cannot go on tells so, and joins again or starts the group anew. */
  private async mend(
    conversation: string,
    server: Group,
    group: GroupRecord | undefined,
  ): Promise<void> {
    if (await this.isResetDue(conversation, group)) return this.prepareReset(conversation, server);
    try {
      await this.rejoin(conversation, server, group);
    } catch (error) {
      const unusable = error instanceof EngineError && USELESS.includes(error.reason);
      if (!unusable) throw error;
      // What the server has to join by is no good either.
      this.options.onProblem(error);
      await this.prepareReset(conversation, server);
    }
  }

  private async isResetDue(conversation: string, group: GroupRecord | undefined): Promise<boolean> {
    if (group?.failed === undefined) return false;
    const { store, transport, steps } = this.options;
    const { epoch, digest, groupId } = group.failed;
    let mending = GroupMending.JOIN_AGAIN;
    try {
      const answer = await transport.unary(GroupService.method.reportInvalidCommit, {
        conversation,
        groupId: fromHex(groupId),
        epoch: BigInt(epoch),
        commitDigest: fromHex(digest),
        requestId: newRequestId(),
      });
      mending = answer.mending;
    } catch (error) {
      // The commit is gone, or the group: there is nothing to tell.
      if (!(error instanceof HandrailError) || error.retryable) throw error;
    }
    await store.transact((transaction) => steps.reported(transaction, conversation));
    return mending === GroupMending.RESET;
  }

  /**
   * Sends the commit that is pending, if one is, until it is known what became of it. `renewed`: it
   * was accepted, and this device has fresh keys by it.
   */
  private async submit(
    conversation: string,
  ): Promise<'none' | 'accepted' | 'renewed' | 'refused'> {
    const { store, steps, inbox } = this.options;
    const pending = await pendingOf(store, conversation);
    if (pending === undefined) return 'none';
    const { commitId } = pending;
    let sequence: bigint;
    try {
      ({ sequence } = await this.send(conversation, pending));
    } catch (error) {
      const refused = error;
      if (!(refused instanceof HandrailError) || !REFUSED.includes(refused.reason)) throw refused;
      await store.transact((transaction) => steps.drop(transaction, conversation, commitId));
      if (WORTH_ANOTHER.includes(refused.reason)) return 'refused';
      if (refused.reason === 'DEVICE_NOT_IN_GROUP') throw notInGroup(refused);
      throw refused;
    }
    if (pending.replaces !== undefined) {
      await store.transact((transaction) =>
        steps.founded(transaction, conversation, commitId, sequence),
      );
      await inbox.fetch(conversation);
    }
    await store.transact((transaction) =>
      steps.accept(transaction, conversation, commitId, sequence),
    );
    // One that only lets devices in leaves the committer's keys as they were.
    return pending.joins || pending.added.length === 0 ? 'renewed' : 'accepted';
  }

  private send(conversation: string, pending: PendingRecord): Promise<{ sequence: bigint }> {
    const { commitId, commit, welcome, groupInfo, added, removed, replaces } = pending;
    const { transport } = this.options;
    const bundle = {
      conversation,
      commitId,
      commit,
      welcomes: welcome === undefined ? [] : [{ welcome, devices: [...added] }],
      devicesAdded: [...added],
      groupInfo,
    };
    if (replaces === undefined) {
      const devicesRemoved = [...removed];
      return transport.unary(GroupService.method.commitBundle, { ...bundle, devicesRemoved });
    }
    const replacedGroupId = fromHex(replaces.groupId);
    const replacedEpoch = BigInt(replaces.epoch);
    const reset = { ...bundle, replacedGroupId, replacedEpoch };
    return transport.unary(GroupService.method.resetConversation, reset);
  }

  /** The group as the server has it, with this device as near to it as it can read. */
  private async whereItIs(conversation: string): Promise<Group> {
    const { store, engine, transport, inbox } = this.options;
    const server = await transport.unary(GroupService.method.getGroup, { conversation });
    if (server.state !== ConversationState.CLOSED) await this.options.onServer(server);
    if (server.groupId.length === 0 || server.state === ConversationState.CLOSED) return server;
    const group = await groupOf(store, conversation);
    const current =
      group?.standing === 'in' &&
      isOf(group, server, engine) &&
      engine.view(group.state).epoch === server.epoch;
    if (!current) await inbox.fetch(conversation);
    return server;
  }

  /** Keeps a commit ready to be sent. False when there is nothing that it could do. */
  private async prepare(
    conversation: string,
    server: Group,
    existing: { group: GroupRecord; plan: Plan; fresh: boolean } | undefined,
  ): Promise<boolean> {
    const { deviceKey } = this.options;
    const wanted = existing?.plan ?? planChange(server, undefined, deviceKey.device);
    const claimed = await this.claim(conversation, wanted.add);
    const making: Making = {
      group: existing?.group,
      epoch: server.epoch,
      plan: wanted,
      packages: claimed,
    };
    const packages = await this.usable(making);
    const plan = without(wanted, packages);
    if (existing === undefined) this.checkSomebody(server, plan.add);
    else if (isNothing(plan) && existing.fresh) return false;
    await this.keep(conversation, { ...making, plan, packages });
    return true;
  }

  private async keep(conversation: string, making: Making): Promise<void> {
    const { store, engine } = this.options;
    await store.transact(async (transaction) => {
      if ((await pendingOf(transaction, conversation)) !== undefined) return;
      const group = await groupOf(transaction, conversation);
      const first = making.group === undefined;
      if (first && group?.standing === 'in' && making.replaces === undefined) return;
      // Of the state of this moment: a message may have been read or sent meanwhile.
      const epoch = first ? undefined : group && engine.view(group.state).epoch;
      if (!first && epoch !== making.epoch) return;
      const made = await this.commit({ ...making, group: first ? undefined : group });
      putPending(transaction, conversation, pendingFrom(made, making, first));
    });
  }

  private async commit({ group, plan, packages }: Making): Promise<PendingCommit> {
    const { engine, deviceKey } = this.options;
    const state = group?.state ?? (await engine.createGroup(deviceKey, newGroupId()));
    const add = packages.map(({ keyPackage }) => keyPackage);
    const made = await engine.commit(state, { add, remove: plan.remove });
    const devices = new Set(engine.view(made.state).members.map(({ device }) => device));
    for (const { device } of packages) {
      if (!devices.has(device)) throw new EngineError('forged', 'a key package of another device');
    }
    return made;
  }

  /** The packages that a commit can be made with: a bad one must not keep the others out. */
  private async usable(making: Making): Promise<readonly Package[]> {
    const works = async (packages: readonly Package[]) => {
      await this.commit({ ...making, packages });
      return packages;
    };
    if (making.packages.length === 0) return [];
    try {
      return await works(making.packages);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
    }
    const good: Package[] = [];
    for (const one of making.packages) {
      try {
        await works([...good, one]);
        good.push(one);
      } catch (error) {
        if (!(error instanceof EngineError)) throw error;
        this.options.onProblem(error);
      }
    }
    return good;
  }

  /** Takes a package of each of these devices that has one. */
  private async claim(conversation: string, devices: readonly string[]): Promise<Package[]> {
    if (devices.length === 0) return [];
    const { store, transport } = this.options;
    const claimId = await store.transact(async (transaction) => {
      const known = await claimOf(transaction, conversation);
      if (known?.devices.join() === devices.join()) return known.claimId;
      const made = { claimId: newRequestId(), devices };
      putClaim(transaction, conversation, made);
      return made.claimId;
    });
    const { keyPackages } = await transport.unary(KeyService.method.claimKeyPackages, {
      conversation,
      devices: [...devices],
      claimId,
    });
    if (keyPackages.length < devices.length) {
      // Under this id the answer would stay so, also when they have published some.
      await store.transact(async (transaction) => deleteClaim(transaction, conversation));
    }
    return keyPackages.filter(({ device }) => devices.includes(device));
  }

  /** A group that nobody else could read would swallow what is said in it. */
  private checkSomebody(server: Group, added: readonly string[]): void {
    const { device } = this.options.deviceKey;
    const member = server.devices.find((one) => one.device === device)?.member;
    const others = server.devices.filter((one) => one.member !== member);
    if (others.some((one) => added.includes(one.device))) return;
    throw new ConversationError('nobody-ready', 'no device of anybody else can be added yet');
  }

  /** Comes back into a group whose state is lost here, where the server counts this device in. */
  private async rejoin(
    conversation: string,
    server: Group,
    before: GroupRecord | undefined,
  ): Promise<void> {
    const { store, engine, deviceKey } = this.options;
    if (!this.isCountedIn(server) || server.groupInfo.length === 0) throw notInGroup();
    const made = await engine.rejoin(deviceKey, server.groupInfo);
    const view = engine.view(made.state);
    if (toHex(view.groupId) !== toHex(server.groupId) || view.epoch !== server.epoch + 1n) {
      throw new EngineError('malformed', 'the GroupInfo is of another group, or of another epoch');
    }
    await store.transact(async (transaction) => {
      if ((await pendingOf(transaction, conversation)) !== undefined) return;
      const now = await groupOf(transaction, conversation);
      if (now?.standing === 'in' && before?.standing !== 'in') return;
      const plan: Plan = { add: [], remove: [], removedAtServer: [] };
      const making: Making = { group: undefined, epoch: server.epoch, plan, packages: [] };
      putPending(transaction, conversation, pendingFrom(made, making, true));
    });
  }

  private isCountedIn({ devices }: Group): boolean {
    const own = devices.find(({ device }) => device === this.options.deviceKey.device);
    return own?.state === GroupDeviceState.IN_GROUP;
  }

  private async pause(attempt: number): Promise<void> {
    const ms = fullJitterMs(attempt, AFTER_CONFLICT, this.options.random);
    await new Promise((resolve) => setTimeout(resolve, ms));
  }
}

/** Whether this is still the conversation's group, and not one that somebody has replaced. */
function isOf(group: GroupRecord, server: Group, engine: E2eeEngine): boolean {
  return toHex(engine.view(group.state).groupId) === toHex(server.groupId);
}

function newGroupId(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(GROUP_ID_BYTES));
}

function pendingFrom(made: PendingCommit, making: Making, joins: boolean): PendingRecord {
  const { plan, epoch, replaces } = making;
  return {
    commitId: newRequestId(),
    epoch,
    commit: made.commit,
    welcome: made.welcome,
    groupInfo: made.groupInfo,
    added: making.packages.map(({ device }) => device),
    removed: plan.removedAtServer,
    state: made.state,
    joins,
    ...(replaces && { replaces }),
  };
}

/** The plan for those of whom there is a package. */
function without(plan: Plan, packages: readonly Package[]): Plan {
  const there = new Set(packages.map(({ device }) => device));
  const absent = plan.add.filter((device) => !there.has(device));
  return {
    add: plan.add.filter((device) => there.has(device)),
    remove: plan.remove,
    // Who cannot be replaced yet is left as they are.
    removedAtServer: plan.removedAtServer.filter((device) => !absent.includes(device)),
  };
}

function closed(): HandrailError {
  return new HandrailError({
    code: 'FAILED_PRECONDITION',
    reason: 'CONVERSATION_CLOSED',
    message: 'the conversation is closed',
  });
}

function notInGroup(cause?: unknown): ConversationError {
  const message = 'this device is not in the group: another one has to let it in';
  return new ConversationError('not-in-group', message, { cause });
}
