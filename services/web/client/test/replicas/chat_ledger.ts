// What clients were told and have heard, held against what is stored.
import type { Place } from './chatter.ts';

/** One conversation, as the server has it, and what its devices know of it. */
export interface Conversation {
  readonly name: string;
  readonly stored: readonly Place[];
  readonly devices: readonly {
    readonly name: string;
    readonly told: readonly Place[];
    readonly heard: readonly Place[];
  }[];
}

/** Everything that must not be; empty when all promises were kept. */
export function findingsIn({ name, stored, devices }: Conversation): string[] {
  const findings: string[] = [];
  const add = (text: string) => findings.push(`${name}: ${text}`);
  const at = new Map<string, bigint>();
  for (const [i, { sequence, messageId }] of stored.entries()) {
    if (sequence !== BigInt(i + 1)) add(`C2: ${sequence} is stored where ${i + 1} is due`);
    if (at.has(messageId)) add(`C1: a message is stored at ${at.get(messageId)} and ${sequence}`);
    at.set(messageId, sequence);
  }
  for (const device of devices) {
    const { told, heard } = device;
    for (const { sequence, messageId } of told) {
      const place = at.get(messageId);
      const what = `what ${device.name} was told is at ${sequence}`;
      if (place === undefined) add(`C1: ${what} is nowhere`);
      else if (place !== sequence) add(`C1: ${what} is at ${place}`);
    }
    // It says one thing after the other.
    const order = told.map(({ sequence }) => sequence);
    if (order.some((sequence, i) => i > 0 && sequence <= order[i - 1]!)) {
      add(`C1: what ${device.name} said is not in its order`);
    }
    if (heard.length !== stored.length) {
      add(`C1: ${device.name} heard ${heard.length} of ${stored.length} messages`);
    }
    const wrong = heard.findIndex(
      ({ sequence, messageId }, i) =>
        sequence !== stored[i]?.sequence || messageId !== stored[i]?.messageId,
    );
    if (wrong >= 0) add(`C1: ${device.name} heard another message at place ${wrong + 1}`);
  }
  return findings;
}
