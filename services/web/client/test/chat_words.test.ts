import { describe, expect, test } from 'vitest';

import { mediaTypeOf, sizeWord } from '../src/chat/file_words.ts';
import { EXIT, Fault, faultOf, mayPass } from '../src/chat/faults.ts';
import { Output, plainText, toJsonLine } from '../src/chat/output.ts';
import { digitGroups, lineEvent, lineWords, statusWords, timeWord } from '../src/chat/words.ts';
import type { Names } from '../src/chat/words.ts';
import type { Line, Numbered } from '../src/chat/history.ts';
import {
  AttachmentError,
  ConversationError,
  HandrailError,
  SealError,
  StoreError,
} from '../src/index.ts';

const ME = 'members/11111111aaaa';
const names: Names = {
  member: (name) => (name === ME ? 'you' : 'they'),
  device: (name) =>
    name === 'devices/own' ? 'this device' : name === 'devices/mine' ? 'you' : 'they',
};
const now = new Date(2026, 10, 23, 15, 4).getTime();
const TALK = `conversations/${'c'.repeat(32)}`;
const said = (line: Line) => lineWords(TALK, { ...line, number: 1 } as Numbered, names, now);

const group = {
  kind: 'devices',
  standing: 'in',
  begun: false,
  added: [],
  removed: [],
  count: 4,
  verification: '123451234512345123451234512345',
  compared: 'never',
  time: now,
} as const;

describe('a line', () => {
  test('says when, who and what', () => {
    const message = { sequence: '7', message: 'id', device: 'devices/d', text: 'hello', time: now };
    expect(said({ kind: 'message', sender: 'members/2', ...message })).toBe('15:04  they: hello');
    expect(said({ kind: 'message', sender: ME, ...message })).toContain('you (on your device d)');
    const before = now - 24 * 60 * 60 * 1000;
    expect(said({ kind: 'sent', sequence: '8', message: 'id', text: 'hi', time: before })).toBe(
      '2026-11-22 15:04  you: hi',
    );
  });

  test('says what went wrong in words for people', () => {
    const refused = { message: 'id', text: 'too late', reason: 'CONVERSATION_CLOSED', time: now };
    expect(said({ kind: 'refused', ...refused })).toBe(
      '15:04  NOT SENT: too late\n        (the conversation is closed)',
    );
    const forged = { sequence: '9', sender: 'members/2', reason: 'forged', time: now };
    expect(said({ kind: 'unreadable', ...forged })).toContain('do not trust it');
    expect(said({ kind: 'gap', first: '3', last: '5', time: now })).toContain('places 3 to 5');
    expect(said({ kind: 'gap', first: '3', last: '3', time: now })).toContain('place 3 of');
    expect(said({ kind: 'conversation', state: 'closed', time: now })).toContain('was closed');
  });

  test('says whose device came or went, and whether to compare again', () => {
    expect(said({ ...group, begun: true, added: ['devices/own', 'devices/x'] })).toContain(
      'This device can read and write now, end to end encrypted, as one of 4.',
    );
    const came = said({ ...group, added: ['devices/abcdef123456'] });
    expect(came).toContain('Can read from now on: a device of theirs (abcdef12).');
    expect(came).not.toContain('VERIFICATION');
    const both = said({ ...group, added: ['devices/mine'], removed: ['devices/y'] });
    expect(both).toContain('a device of yours (mine). Can no longer read: a device of theirs (y)');
    const changed = said({ ...group, added: ['devices/y'], compared: 'other-devices' });
    expect(changed).toContain('THE VERIFICATION NUMBER HAS CHANGED');
    const renewed = said({ ...group, compared: 'same-devices' });
    expect(renewed).toContain('keys were renewed');
    expect(renewed).not.toContain('HAS CHANGED');
    expect(said({ ...group, standing: 'removed', count: 0 })).toContain('taken out');
    expect(said({ ...group, standing: 'lost', count: 0 })).toContain('comes back by itself');
  });

  test('is an object with numbers and owners for scripts', () => {
    const line: Numbered = { ...group, added: ['devices/mine'], number: 3 };
    expect(lineEvent('conversations/c', line, names)).toEqual({
      event: 'devices',
      conversation: 'conversations/c',
      time: new Date(now).toISOString(),
      number: 3,
      standing: 'in',
      begun: false,
      added: [{ device: 'devices/mine', owner: 'you' }],
      removed: [],
      count: 4,
      verification: group.verification,
      compared: 'never',
    });
    const sent: Numbered = {
      kind: 'sent',
      sequence: '8',
      message: 'id',
      text: 'hi',
      time: now,
      number: 4,
    };
    expect(lineEvent('conversations/c', sent, names)).toMatchObject({ event: 'sent', sequence: 8 });
  });
});

describe('a file', () => {
  const id = `attachments/5e6f7a8b${'0'.repeat(24)}`;
  const key = 'ab'.repeat(32);
  const file = { id, key, digest: 'cd'.repeat(32), size: 1_234_567, name: 'a photo.jpg' };
  const photo = { ...file, mediaType: 'image/jpeg' };
  const place = { sequence: '7', message: 'id', text: 'look', time: now };
  const message = { kind: 'message', sender: 'members/2', device: 'devices/d', ...place } as const;

  test('is a line below its message, and says how to get it', () => {
    expect(said({ ...message, attachments: [photo, { ...photo, name: 'notes', size: 0 }] })).toBe(
      '15:04  they: look\n' +
        '    + file (1.2 MB; get it: handrail-chat save cccccccc 5e6f7a8b): a photo.jpg\n' +
        '    + file (0 bytes, image/jpeg; get it: handrail-chat save cccccccc 5e6f7a8b): notes',
    );
    expect(said({ ...message, text: '', attachments: [photo] })).toMatch(/they:\n {4}\+ file/);
    expect(said({ kind: 'sent', ...place, attachments: [photo] })).toBe(
      '15:04  you: look\n    + file (1.2 MB): a photo.jpg',
    );
    const refused = { message: 'id', text: '', reason: 'CONVERSATION_CLOSED', time: now };
    expect(said({ kind: 'refused', ...refused, attachments: [photo] })).toBe(
      '15:04  NOT SENT:\n    + file (1.2 MB): a photo.jpg\n        (the conversation is closed)',
    );
  });

  test('is nothing that a text can look like, and its name does nothing to a terminal', () => {
    const text = 'look\n    + file (1 MB; get it: rm -r ~): a photo.jpg';
    for (const line of said({ ...message, text }).split('\n').slice(1)) {
      expect(line).toMatch(/^ {8}/);
    }
    const name = 'a\u001b[2J\u202egpj.exe';
    expect(said({ ...message, attachments: [{ ...photo, name }] })).toMatch(/a\ufffd\[2J\ufffdgpj/);
  });

  test('is there for scripts, without its key', () => {
    const lines: Line[] = [
      { ...message, attachments: [photo] },
      { kind: 'sent', ...place, attachments: [photo] },
      { kind: 'refused', message: 'id', text: '', reason: 'x', time: now, attachments: [photo] },
    ];
    for (const line of lines) {
      const event = lineEvent(TALK, { ...line, number: 1 } as Numbered, names);
      const listed = { id, name: 'a photo.jpg', size: 1_234_567, media_type: 'image/jpeg' };
      expect(event['files']).toEqual([listed]);
      expect(JSON.stringify(event)).not.toMatch(/abab|cdcd/);
      expect(said(line)).not.toMatch(/abab|cdcd/);
    }
    expect(lineEvent(TALK, { ...message, number: 1 }, names)['files']).toEqual([]);
  });

  test('has a size in units of people', () => {
    const sizes: readonly (readonly [number, string])[] = [
      [0, '0 bytes'],
      [1, '1 byte'],
      [999, '999 bytes'],
      [1000, '1 kB'],
      [1_249, '1.2 kB'],
      [9_949, '9.9 kB'],
      [9_951, '10 kB'],
      [999_499, '999 kB'],
      [999_950, '1 MB'],
      [10_483_200, '10 MB'],
    ];
    for (const [bytes, words] of sizes) expect(sizeWord(bytes)).toBe(words);
  });

  test('is of the kind that its name says', () => {
    expect(mediaTypeOf('a.photo.JPG')).toBe('image/jpeg');
    for (const name of ['jpg', 'a.constructor', 'a.', 'a.exe']) {
      expect(mediaTypeOf(name), name).toBe('application/octet-stream');
    }
  });
});

describe('what somebody else wrote', () => {
  test('does nothing to a terminal', () => {
    const evil = 'a\u001b[2Jb\u009b31mc\u0007\u202egnp.exe\r\nd\u0000';
    expect(plainText(evil)).toBe('a\ufffd[2Jb\ufffd31mc\ufffd\ufffdgnp.exe\n        d\ufffd');
    expect(plainText('Grüße, مرحبا 👋\ttab')).toBe('Grüße, مرحبا 👋\ttab');
  });

  test('does nothing to a terminal as JSON either, and reads back', () => {
    const text = 'a\u001b[2J\u009b\u202e\u2028z';
    const line = toJsonLine({ event: 'message', text, big: 12n });
    expect(line).toMatch(/^[\x20-\x7e]+$/);
    expect(JSON.parse(line)).toEqual({ event: 'message', text, big: 12 });
  });

  test('cannot look like a line of somebody else', () => {
    const text = 'hello\n15:05  you: I agree';
    const message = { sequence: '7', message: 'id', device: 'devices/d', time: now, text };
    const [, second = ''] = said({ kind: 'message', sender: 'members/2', ...message }).split('\n');
    expect(second).toMatch(/^ {8}15:05/);
  });
});

describe('output', () => {
  test('is for people or for scripts, never both', () => {
    const write = (to: string[]) => ({ write: (text: string) => to.push(text) });
    const run = (json: boolean) => {
      const [out, aside]: [string[], string[]] = [[], []];
      const output = new Output(json, write(out), write(aside));
      output.tell({ event: 'message' }, 'words');
      output.note({ event: 'waiting' }, 'a note');
      output.note({ event: 'silent' }, '');
      return { out, aside };
    };
    expect(run(false)).toEqual({ out: ['words\n'], aside: ['a note\n'] });
    expect(run(true)).toEqual({
      out: ['{"event":"message"}\n', '{"event":"waiting"}\n', '{"event":"silent"}\n'],
      aside: [],
    });
  });
});

describe('progress', () => {
  const said = (json: boolean, isTTY: boolean, typing = false) => {
    const [out, aside]: [string[], string[]] = [[], []];
    const sink = { write: (text: string) => aside.push(text), isTTY };
    const output = new Output(json, { write: (text: string) => out.push(text) }, sink);
    if (typing) output.around = (write) => write();
    output.progress({ event: 'progress', bytes: 1 }, '10 %');
    output.progress({ event: 'progress', bytes: 2 }, '20 %');
    output.tell({ event: 'sent' }, 'Sent.');
    return { out, aside: aside.join('') };
  };

  test('is a line at a terminal, in the place of the one before, and then goes', () => {
    const row = '\r\u001b[K';
    expect(said(false, true)).toEqual({ out: ['Sent.\n'], aside: `${row}10 %${row}20 %${row}` });
    expect(said(false, true, true)).toEqual({ out: ['Sent.\n'], aside: '' });
    expect(said(false, false)).toEqual({ out: ['Sent.\n'], aside: '' });
  });

  test('is an event for scripts', () => {
    const progress = ['{"event":"progress","bytes":1}\n', '{"event":"progress","bytes":2}\n'];
    expect(said(true, true)).toEqual({ out: [...progress, '{"event":"sent"}\n'], aside: '' });
  });
});

describe('a failure', () => {
  const exitOf = (error: unknown) => faultOf(error).exit;
  const handrail = (code: 'UNAVAILABLE' | 'NOT_FOUND' | 'UNAUTHENTICATED', reason: string) =>
    new HandrailError({ code, reason, message: 'words of the server' });

  test('has an exit status, words and what to do', () => {
    expect(exitOf(handrail('UNAVAILABLE', 'DRAINING'))).toBe(EXIT.later);
    expect(exitOf(handrail('NOT_FOUND', 'NOT_FOUND'))).toBe(EXIT.failed);
    expect(exitOf(handrail('UNAUTHENTICATED', 'SIGNATURE_INVALID'))).toBe(EXIT.removed);
    expect(exitOf(new SealError('wrong-passphrase', 'x'))).toBe(EXIT.locked);
    expect(exitOf(new SealError('weak-passphrase', 'x'))).toBe(EXIT.usage);
    expect(exitOf(new StoreError('damaged', 'x'))).toBe(EXIT.locked);
    const faults = ['too-large', 'changed', 'gone', 'damaged'] as const;
    const exits = faults.map((fault) => exitOf(new AttachmentError(fault, 'x')));
    expect(exits).toEqual([EXIT.usage, EXIT.failed, EXIT.failed, EXIT.failed]);
    expect(exitOf(new RangeError('too long'))).toBe(EXIT.usage);
    expect(exitOf(new Error('odd'))).toBe(EXIT.failed);
    const own = new Fault(EXIT.replaced, 'as it is');
    expect(faultOf(own)).toBe(own);
    for (const fault of ['nobody-ready', 'not-in-group', 'contended', 'outbox-full'] as const) {
      const { exit, message, todo } = faultOf(new ConversationError(fault, 'x'));
      expect(exit).toBe(EXIT.later);
      expect(message.length * todo.length).toBeGreaterThan(0);
    }
  });

  test('is waited out when it may pass', () => {
    expect(mayPass(handrail('UNAVAILABLE', ''))).toBe(true);
    expect(mayPass(new ConversationError('nobody-ready', 'x'))).toBe(true);
    expect(mayPass(new Fault(EXIT.later, 'x', '', 'NO_SERVER'))).toBe(true);
    expect(mayPass(handrail('NOT_FOUND', 'NOT_FOUND'))).toBe(false);
    expect(mayPass(new SealError('tampered', 'x'))).toBe(false);
  });

  test('of the connection is told once, and its end', () => {
    const error = handrail('UNAVAILABLE', '');
    expect(statusWords({ kind: 'waiting', ms: 1400, error }, false)).toContain('in a second');
    expect(statusWords({ kind: 'waiting', ms: 1400, error }, true)).toBe('');
    expect(statusWords({ kind: 'caught-up' }, true)).toContain('Connected again');
    expect(statusWords({ kind: 'caught-up' }, false)).toBe('');
  });
});

test('numbers and times are easy on the eye', () => {
  expect(digitGroups('123456789012345678901234567890')).toBe('12345 67890 12345 67890 12345 67890');
  expect(timeWord(new Date(2026, 0, 2, 3, 4).getTime(), now)).toBe('2026-01-02 03:04');
});
