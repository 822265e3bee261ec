import { GroupDeviceState } from '../gen/handrail/messaging/v1/group_pb.ts';
import type { Group } from '../gen/handrail/messaging/v1/group_pb.ts';
import { HandrailError } from '../transport/errors.ts';
import type { DeviceLogs } from './device_logs.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

/** Says when a device log is worth a look, so that it costs a call only now and then. */
export class DeviceWatch {
  /** Of each member: the devices of the last look, and when that was. */
  private readonly looked = new Map<string, { readonly devices: string; readonly time: number }>();

  constructor(
    private readonly logs: Pick<DeviceLogs, 'look'>,
    private readonly onProblem: (error: Error) => void,
    private readonly now: () => number = Date.now,
  ) {}

  /**
   * Looks at the logs of those whose devices are others than at the last look, and of everybody once
   * a day. What goes wrong holds nothing up.
   */
  async see({ devices }: Pick<Group, 'devices'>): Promise<void> {
    const live = new Map<string, string[]>();
    for (const { member, device, state } of devices) {
      const theirs = live.get(member) ?? [];
      live.set(member, theirs);
      if (state !== GroupDeviceState.REVOKED) theirs.push(device);
    }
    for (const [member, theirs] of live) {
      await this.seeOne(member, theirs.sort().join());
    }
  }

  private async seeOne(member: string, devices: string): Promise<void> {
    const before = this.looked.get(member);
    const time = this.now();
    if (before?.devices === devices && time - before.time < DAY_MS) return;
    try {
      await this.logs.look(member);
      this.looked.set(member, { devices, time });
    } catch (error) {
      // Who has left has no log for us, and an older server knows of none.
      const none =
        error instanceof HandrailError && ['NOT_FOUND', 'UNIMPLEMENTED'].includes(error.code);
      // Else again in a minute, and not at every step: who waits for an answer keeps a conversation waiting.
      this.looked.set(member, { devices, time: none ? time : time - DAY_MS + 60_000 });
      if (!none) this.onProblem(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
