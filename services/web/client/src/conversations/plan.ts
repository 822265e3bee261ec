import type { GroupView } from '../engine/engine.ts';
import { GroupDeviceState } from '../gen/handrail/messaging/v1/group_pb.ts';
import type { Group } from '../gen/handrail/messaging/v1/group_pb.ts';

/** How the group should change so that it holds the devices of the members and nobody else. */
export interface Plan {
  /** Devices to let in. Sorted. */
  readonly add: readonly string[];
  /** Devices that the tree loses. */
  readonly remove: readonly string[];
  /** Devices that stop reading, as the server is told. One that is added too is replaced. */
  readonly removedAtServer: readonly string[];
}

/**
 * What is to be changed in a group. `view` is the tree as this device has it, in the epoch that the
 * server is in; undefined when there is no group yet.
 *
 * The server believes what committers say of whom they add; the tree is the truth of who can
 * decrypt. So a device in the tree that the server does not count in is put out of it, and one
 * that the server counts in without a place in the tree is added again.
 */
export function planChange(server: Group, view: GroupView | undefined, own: string): Plan {
  const tree = new Set(view?.members.map(({ device }) => device) ?? [own]);
  const { IN_GROUP, REVOKED } = GroupDeviceState;
  const others = server.devices.filter(({ device }) => device !== own);
  const inGroup = others.filter(({ state }) => state === IN_GROUP).map(({ device }) => device);
  const stray = new Set(tree);
  stray.delete(own);
  for (const device of inGroup) stray.delete(device);
  const missing = inGroup.filter((device) => !tree.has(device));
  const outside = others.filter(({ state }) => state === GroupDeviceState.OUTSIDE);
  const revoked = others.filter(({ state }) => state === REVOKED).map(({ device }) => device);
  return {
    add: [...outside.map(({ device }) => device), ...missing].sort(),
    remove: [...stray].sort(),
    removedAtServer: [...revoked, ...missing].sort(),
  };
}

export function isNothing({ add, remove, removedAtServer }: Plan): boolean {
  return add.length + remove.length + removedAtServer.length === 0;
}
