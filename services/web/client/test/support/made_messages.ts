// The messages that a walk's members make, with what a server must find in each: written down for
// the server's framing parser (services/messaging/domain/made_messages_test.cc). What is
// expected comes from who did what, never from reading the bytes.
import { appendFileSync, writeFileSync } from 'node:fs';

import type { Bundle, Maker, NewKeyPackage, Peer } from './peers.ts';

/** Where the test puts every message of its walks, one a line. */
const FILE = process.env['HANDRAIL_MLS_MESSAGES'];

export type Wire = 'public' | 'private';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

export class MadeMessages {
  private readonly lines: string[] = [];

  keyPackage(peer: Peer, { message, reference }: NewKeyPackage): void {
    this.put(peer.maker, 'key_package', message, {
      identity: Buffer.from(peer.device),
      signature_key: peer.signatureKey,
      reference,
    });
  }

  /** A commit and what goes with it; `epoch` is the one that it ends. */
  bundle(
    maker: Maker,
    what: 'commit' | 'external_commit',
    made: Bundle,
    frame: { wire: Wire; group: Uint8Array; epoch: bigint; added: readonly Uint8Array[] },
  ): void {
    this.framed(maker, what, made.commit, { ...frame, authenticatedData: new Uint8Array() });
    this.put(maker, 'group_info', made.groupInfo, {});
    if (made.welcome !== undefined) {
      this.put(maker, 'welcome', made.welcome, { recipients: frame.added.map(hex).join(',') });
    }
  }

  framed(
    maker: Maker,
    what: 'commit' | 'external_commit' | 'proposal' | 'application',
    message: Uint8Array,
    frame: { wire: Wire; group: Uint8Array; epoch: bigint; authenticatedData: Uint8Array },
  ): void {
    this.put(maker, what, message, {
      wire: frame.wire,
      group: frame.group,
      epoch: String(frame.epoch),
      authenticated_data: frame.authenticatedData,
    });
  }

  /** Empties the file that is asked for, if one is. */
  static begin(): void {
    if (FILE !== undefined) writeFileSync(FILE, '');
  }

  /** Adds them to it. */
  save(): void {
    if (FILE !== undefined) appendFileSync(FILE, this.lines.map((line) => `${line}\n`).join(''));
  }

  private put(
    maker: Maker,
    what: string,
    message: Uint8Array,
    expected: Readonly<Record<string, string | Uint8Array>>,
  ): void {
    const fields = Object.entries(expected).map(
      ([name, value]) => `${name}=${typeof value === 'string' ? value : hex(value)}`,
    );
    this.lines.push([maker, what, ...fields, `message=${hex(message)}`].join(' '));
  }
}
