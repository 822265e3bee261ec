// Reports of messages that the server has not read.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, test } from 'vitest';

import { ReportService, SafetyService } from '../../src/api.ts';
import { fromJsonBytes, toJsonBytes } from '../../src/base/bytes.ts';
import { report } from '../../src/conversations/reports.ts';
import { newRequestId } from '../../src/index.ts';

import type { Transport } from '../../src/index.ts';
import { until } from '../support/until.ts';
import { patiently } from './people.ts';
import { allHave, killService, linesOf, passing, talker, twoPeople } from './talkers.ts';
import type { Talker } from './talkers.ts';

/** What profiles keeps of reports, without what they show. */
function cases(): string[] {
  const query =
    'import sqlite3, sys\n' +
    'rows = sqlite3.connect(sys.argv[1], timeout=10).execute("SELECT hex(case_id) FROM cases")\n' +
    'print("\\n".join("reports/" + row[0].lower() for row in rows))';
  const file = join(inject('folder'), 'db/profiles.db');
  return execFileSync('python3', ['-c', query, file], { encoding: 'utf8' }).split('\n');
}

function waiting(): number {
  const query =
    'import sqlite3, sys\n' +
    'print(sqlite3.connect(sys.argv[1], timeout=10).execute("SELECT COUNT(*) FROM report_queue")' +
    '.fetchone()[0])';
  const file = join(inject('folder'), 'db/messaging.db');
  return Number(execFileSync('python3', ['-c', query, file], { encoding: 'utf8' }));
}

const arrived = (name: string) => until('the case to be open', 30, () => cases().includes(name));

/** Every file of the deployment and of these devices. */
function allBytes(devices: readonly { readonly folder: string }[]): Buffer {
  const parts: Buffer[] = [];
  for (const folder of [inject('folder'), ...devices.map((device) => device.folder)]) {
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      try {
        parts.push(readFileSync(join(entry.parentPath, entry.name)));
      } catch {
        // Gone since.
      }
    }
  }
  return Buffer.concat(parts);
}

/** Ann and Bob, who both hear what these say. */
async function talking(
  ...texts: string[]
): Promise<{ ann: Talker; bob: Talker; conversation: string }> {
  const people = await twoPeople();
  const { conversation } = people;
  const [ann, bob] = [await talker(people.ann), await talker(people.bob)];
  await ann.conversations.start(conversation);
  ann.run();
  bob.run();
  for (const text of texts) await ann.conversations.send(conversation, text);
  await allHave([ann, bob], texts);
  return { ann, bob, conversation };
}

const placesAt = async ({ conversations }: Talker, conversation: string) =>
  (await conversations.reportable(conversation)).map(({ sequence }) => sequence);

describe('what somebody said', () => {
  test('is reported in its order, and stands nowhere in the clear', async () => {
    const canary = 'canary-abuse-7319';
    const { ann, bob, conversation } = await talking(`${canary} one`, `${canary} two`);
    await bob.conversations.send(conversation, 'please stop');
    await ann.conversations.send(conversation, `${canary} three`);
    await until('all of it', 20, async () => (await linesOf(bob)).length === 4);
    const seen = await bob.conversations.reportable(conversation);
    const texts = seen.map(({ text }) => text);
    expect(texts).toEqual([`${canary} one`, `${canary} two`, `${canary} three`]);
    // What oneself said is nobody's to report.
    const places = seen.map(({ sequence }) => sequence);
    const requestId = newRequestId();
    const note = 'canary-note-7319';
    const options = { reason: 'harassment', note, requestId } as const;
    const name = await bob.conversations.report(conversation, places, options);
    expect(name).toMatch(/^reports\/[0-9a-f]{32}$/);
    expect(await bob.conversations.report(conversation, places, options)).toBe(name);
    await arrived(name);
    await until('nothing to wait', 10, () => waiting() === 0);
    expect(cases().filter((one) => one === name)).toHaveLength(1);
    const bytes = allBytes([ann, bob]);
    expect(bytes.includes('report_queue')).toBe(true);
    for (const secret of [canary, note]) {
      for (const form of ['utf8', 'hex', 'base64'] as const) {
        expect(bytes.includes(Buffer.from(secret).toString(form))).toBe(false);
      }
    }
  });

  test('is reported while profiles is down, and arrives when it is back', async () => {
    const { bob, conversation } = await talking('an insult');
    const places = await placesAt(bob, conversation);
    await killService('profiles');
    const name = await bob.conversations.report(conversation, places, { reason: 'other' });
    await arrived(name);
  });

  test('is reported when it is over: left, and blocked', async () => {
    const { ann, bob, conversation } = await talking('an insult', 'another');
    const places = await placesAt(bob, conversation);
    await bob.conversations.leave(conversation);
    const left = { reason: 'stalking' } as const;
    await arrived(await bob.conversations.report(conversation, places.slice(0, 1), left));
    const { sender } = (await bob.conversations.reportable(conversation))[0]!;
    const block = { member: sender, requestId: newRequestId() };
    await bob.session.unary(SafetyService.method.blockMember, block);
    const blocked = { reason: 'harassment' } as const;
    await arrived(await bob.conversations.report(conversation, places, blocked));
    expect(await placesAt(ann, conversation)).toEqual([]);
  });

  test('that was changed in any field is refused, by its index alone', async () => {
    const { bob, conversation } = await talking('one', 'two');
    let forge: (message: any) => void = () => {};
    const session = passing(bob, (_, call) => call());
    const { unary } = session;
    session.unary = ((method: any, request: any, more: any) => {
      if (method.name === 'ReportMessages') forge(request.messages[1]);
      return unary(method, request, more);
    }) as typeof session.unary;
    await bob.stop();
    const liar = await talker({ ...bob, session });
    const places = await placesAt(liar, conversation);
    const flip = (bytes: Uint8Array) => bytes.map((byte, i) => (i === 0 ? byte ^ 1 : byte));
    const forgeries: ((message: any) => void)[] = [
      (message) =>
        (message.content = toJsonBytes({ ...fromJsonBytes<object>(message.content), text: 'x' })),
      (message) => (message.frankingKey = flip(message.frankingKey)),
      (message) => (message.commitment = flip(message.commitment)),
      (message) => (message.previousCommitment = flip(message.previousCommitment)),
      (message) => (message.stamp = flip(message.stamp)),
      (message) => (message.keyId = 'another'),
      (message) => (message.sequence += 1n),
      (message) => (message.sender = `members/${'0'.repeat(32)}`),
      (message) => (message.senderDevice = `devices/${'0'.repeat(32)}`),
      (message) => (message.createTime = { ...message.createTime, nanos: 1000 }),
    ];
    const known = cases();
    for (forge of forgeries) {
      const made = patiently(() =>
        liar.conversations.report(conversation, places, { reason: 'other' }),
      );
      await expect(made).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        reason: 'FIELD_INVALID',
        fields: [{ field: 'messages[1]', description: 'cannot be verified' }],
      });
    }
    expect(waiting()).toBe(0);
    expect(cases()).toEqual(known);
    forge = () => {};
    const made = () => liar.conversations.report(conversation, places, { reason: 'other' });
    await arrived(await patiently(made));
  });

  test('is not there for somebody who has no part in it', async () => {
    const { bob, conversation } = await talking('an insult');
    const { ann: eve } = await twoPeople();
    const places = await placesAt(bob, conversation);
    let stolen: any;
    const transport = {
      unary: async (_: unknown, request: unknown) => {
        stolen = request;
        return { report: '' };
      },
    } as unknown as Transport;
    await report({ transport, store: bob.store }, conversation, places, { reason: 'other' });
    await expect(
      eve.session.unary(ReportService.method.reportMessages, stolen),
    ).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'NOT_FOUND' });
  });
});
