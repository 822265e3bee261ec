import { MessagingService } from '../gen/handrail/messaging/v1/messaging_pb.ts';
import { HandrailError, toHandrailError } from '../transport/errors.ts';
import type { Transport } from '../transport/transport.ts';

/** What one call takes. */
const AT_ONCE = 256;

/**
 * Tells the server what this device has. One call at a time: what comes meanwhile is in the next,
 * and only the newest of a conversation counts.
 */
export class Acknowledger {
  private readonly pending = new Map<string, bigint>();
  private running: Promise<void> | undefined;

  constructor(
    private readonly transport: Transport,
    private readonly onProblem: (error: HandrailError) => void,
  ) {}

  /** Does not wait for the server. */
  note(conversation: string, sequence: bigint): void {
    if (sequence <= 0n) return;
    this.keep(conversation, sequence);
    void this.flush();
  }

  /**
   * Waits until the server has heard of everything, or could not be told: that is then kept for
   * the next `note` or `flush`. Never throws.
   */
  flush(): Promise<void> {
    this.running ??= this.run().finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  private keep(conversation: string, sequence: bigint): void {
    if (sequence > (this.pending.get(conversation) ?? 0n)) this.pending.set(conversation, sequence);
  }

  private async run(): Promise<void> {
    while (this.pending.size > 0) {
      const batch = [...this.pending].slice(0, AT_ONCE);
      for (const [conversation] of batch) this.pending.delete(conversation);
      if (!(await this.send(batch))) {
        for (const [conversation, sequence] of batch) this.keep(conversation, sequence);
        return;
      }
    }
  }

  /** False when it is worth trying again later. */
  private async send(batch: readonly (readonly [string, bigint])[]): Promise<boolean> {
    const cursors = batch.map(([conversation, afterSequence]) => ({ conversation, afterSequence }));
    try {
      await this.transport.unary(MessagingService.method.ackMessages, { cursors });
      return true;
    } catch (error) {
      const refused = toHandrailError(error);
      const itself = ['NOT_FOUND', 'INVALID_ARGUMENT', 'OUT_OF_RANGE'].includes(refused.code);
      if (!itself) {
        this.onProblem(refused);
        return false;
      }
      // One that is not ours any more must not hold up the others.
      if (batch.length > 1) {
        for (const one of batch) if (!(await this.send([one]))) return false;
      } else {
        this.onProblem(refused);
      }
      return true;
    }
  }
}
