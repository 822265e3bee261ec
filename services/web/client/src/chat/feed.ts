import { GroupService } from '../gen/handrail/messaging/v1/group_pb.ts';
import { sleep } from '../transport/backoff.ts';
import type { Transport } from '../transport/transport.ts';
import type { History, Numbered } from './history.ts';
import type { Output } from './output.ts';
import { lineEvent, lineWords, short } from './words.ts';
import type { Names, Owner } from './words.ts';

/** Asking whose devices there are must not hold up what is to be shown. */
const ASK_TIMEOUT_MS = 2_000;
/** How often it is looked for what other programs of this device wrote. */
const LONGEST_PAUSE_MS = 250;
const FIRST_PAUSE_MS = 10;

/** Whose devices and messages are whose. */
export class People {
  private readonly owners = new Map<string, string>();

  constructor(
    private readonly transport: Transport,
    private readonly history: History,
    private readonly self: { readonly device: string; readonly member: string },
  ) {}

  /** As of now. `asked` devices of whom nobody knows whose they are yet are asked for. */
  async namesIn(conversation: string, asked: readonly string[] = []): Promise<Names> {
    const isKnown = (device: string) => device === this.self.device || this.owners.has(device);
    if (!asked.every(isKnown)) await this.ask(conversation);
    const members = (await this.history.known(conversation))?.members ?? [];
    const owner = (member: string | undefined): Owner => {
      if (member === undefined) return 'unknown';
      if (member === this.self.member) return 'you';
      return members.length > 2 ? `member ${short(member)}` : 'they';
    };
    return {
      member: owner,
      device: (device) =>
        device === this.self.device ? 'this device' : owner(this.owners.get(device)),
    };
  }

  /** What the server says; nobody knows while it is away. */
  private async ask(conversation: string): Promise<void> {
    try {
      const request = { conversation };
      const options = { timeoutMs: ASK_TIMEOUT_MS };
      const group = await this.transport.unary(GroupService.method.getGroup, request, options);
      for (const { device, member } of group.devices) this.owners.set(device, member);
    } catch {
      // The line is shown without it.
    }
  }
}

export interface FeedOptions {
  readonly history: History;
  readonly people: People;
  readonly output: Output;
  /** One conversation alone. */
  readonly only?: string | undefined;
  /** Shows a line in another way; false when it did not. */
  readonly instead?: (line: Numbered) => boolean;
  readonly now?: () => number;
}

/**
 * Shows lines as they come. A line is marked as shown after it was written out: a crash in between
 * shows it again, and never loses it.
 */
export class Feed {
  private readonly at = new Map<string, number>();
  private woken = false;
  private onWake = () => {};
  private named = '';

  constructor(private readonly options: FeedOptions) {}

  /** Something may have been written. */
  wake(): void {
    this.woken = true;
    this.onWake();
  }

  /** Begins after the line of this number, and not after what was shown before. */
  startAfter(conversation: string, number: number): void {
    this.at.set(conversation, number);
  }

  /** Shows what is there and was not shown before. How many lines. */
  async showNew(): Promise<number> {
    const { history, only } = this.options;
    const conversations = only === undefined ? await history.conversations() : [only];
    let shown = 0;
    for (const conversation of conversations) {
      const before = this.at.get(conversation) ?? (await history.shown(conversation));
      const lines = await history.after(conversation, before);
      const last = lines.at(-1)?.number;
      if (last === undefined) continue;
      if (only === undefined && conversations.length > 1) this.name(conversation);
      await this.show(conversation, lines);
      this.at.set(conversation, last);
      await history.markShown(conversation, last);
      shown += lines.length;
    }
    return shown;
  }

  /** Shows what comes until the signal, and then what is left. */
  async run(signal: AbortSignal): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS;
    while (!signal.aborted) {
      this.woken = false;
      const found = (await this.showNew()) > 0;
      pauseMs = found ? FIRST_PAUSE_MS : Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
      // What woke us is only about to be written: so it is looked for soon, and soon again.
      if (await this.pause(pauseMs, signal)) pauseMs = FIRST_PAUSE_MS / 2;
    }
    await this.showNew();
  }

  /** Whether it was woken before the time was over. */
  private async pause(ms: number, signal: AbortSignal): Promise<boolean> {
    if (!this.woken) {
      const waking = new AbortController();
      const wake = () => waking.abort();
      this.onWake = wake;
      signal.addEventListener('abort', wake, { once: true });
      await sleep(ms, waking.signal);
      signal.removeEventListener('abort', wake);
    }
    if (!this.woken) return false;
    await sleep(FIRST_PAUSE_MS / 2, signal);
    return true;
  }

  /** Says of which conversation the next lines are, where that is not clear. */
  private name(conversation: string): void {
    const { output } = this.options;
    const again = conversation === this.named || output.json;
    if (!again) output.tell({ event: '' }, `— ${conversation}`);
    this.named = conversation;
  }

  private async show(conversation: string, lines: readonly Numbered[]): Promise<void> {
    const { output, people, instead, now = Date.now } = this.options;
    const asked = lines.flatMap((line) =>
      line.kind === 'devices' ? [...line.added, ...line.removed] : [],
    );
    const names = await people.namesIn(conversation, asked);
    for (const line of lines) {
      if (instead?.(line)) continue;
      const words = lineWords(conversation, line, names, now());
      output.tell(lineEvent(conversation, line, names), words);
    }
  }
}
