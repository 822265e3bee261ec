// Files that people send each other with `handrail-chat`, on the real services.
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

import { describe, expect, inject, onTestFinished, test } from 'vitest';

import { Attachments, SealedStore, Session } from '../../src/index.ts';
import type { AttachmentDescriptor, Upload } from '../../src/index.ts';
import { FileStore } from '../../src/node.ts';
import { FaultProxy } from '../support/fault_proxy.ts';
import { until } from '../support/until.ts';
import { atTerminal, done, newPerson, nowhere, run, start, texts, twoPeople } from './commands.ts';
import type { Home, Said } from './commands.ts';
import { PASSPHRASE, patiently, temporaryFolder, transportTo } from './people.ts';
import { killMessaging } from './talkers.ts';

const ID = '0b1c2d3e4f5061728394a5b6c7d8e9f0';
const MB = 1_000_000;

/** Where the commands of somebody run, and what they save lies. */
const deskOf = (home: Home) => dirname(home.state);

function fileOf(home: Home, name: string, content: Buffer | string): Buffer {
  writeFileSync(join(deskOf(home), name), content);
  return Buffer.from(content);
}

const saved = (home: Home, name: string) => readFileSync(join(deskOf(home), name));
const parts = (home: Home) => readdirSync(deskOf(home)).filter((name) => name.endsWith('.part'));
const filesIn = (said: readonly Said[]) => said.flatMap(({ files = [] }) => files);

/** What this device keeps, as its own commands do. */
async function withState<T>(
  home: Home,
  step: (attachments: Attachments, store: SealedStore) => Promise<T>,
): Promise<T> {
  const store = await SealedStore.unlock(await FileStore.open(home.state), PASSPHRASE);
  const transport = await patiently(() => Session.signIn(transportTo(), store));
  try {
    return await step(new Attachments({ transport, store }), store);
  } finally {
    await store.close();
  }
}

const uploadsOf = (home: Home): Promise<Upload[]> =>
  withState(home, (attachments) => attachments.uploads());

/** The files of its history as it keeps them, with their keys. */
const descriptorsOf = (home: Home): Promise<AttachmentDescriptor[]> =>
  withState(home, async (_, store) => {
    const names = await store.list('talk/line/');
    const lines = await Promise.all(names.map((name) => store.get(name)));
    return lines.flatMap((line) => JSON.parse(new TextDecoder().decode(line)).attachments ?? []);
  });

/** A way to messaging that says nothing more after so many bytes, while it looks alive. */
async function stallingAfter(bytes: number) {
  const endpoints = inject('endpoints');
  const proxy = await FaultProxy.to(endpoints.messaging);
  onTestFinished(() => proxy.close());
  proxy.stallAfterBytes = bytes;
  const folder = temporaryFolder();
  const through = { ...endpoints, messaging: proxy.endpoint };
  writeFileSync(join(folder, 'endpoints.json'), JSON.stringify(through));
  return { proxy, environment: { HANDRAIL_DATA: folder } };
}

describe('a file', () => {
  test('comes as it was sent, to who it was sent to, and nobody else sees any of it', async () => {
    const { ann, bob, conversation } = await twoPeople();
    const words = 'what only the two of us know\n'.repeat(9000);
    const letter = fileOf(ann, 'a letter to Bob.txt', words);
    const photo = fileOf(ann, '.photo', randomBytes(MB));
    const args = ['send', '--file', 'a letter to Bob.txt', '--file', './.photo'];
    const said = await done(ann, args, 'Two things.');
    expect(said.filter(({ event }) => event !== 'progress').map(({ event }) => event)).toEqual([
      'uploaded',
      'uploaded',
      'kept',
      'sent',
    ]);
    const [message] = (await done(bob, ['read'])).filter(({ event }) => event === 'message');
    expect(message).toMatchObject({ text: 'Two things.' });
    expect(message?.['files']).toEqual([
      {
        id: expect.stringMatching(/^attachments\/[0-9a-f]{32}$/),
        name: 'a letter to Bob.txt',
        size: letter.length,
        media_type: 'text/plain',
      },
      expect.objectContaining({ name: '.photo', size: MB, media_type: 'application/octet-stream' }),
    ]);
    const ids = filesIn([message!]).map(({ id }: { id: string }) => id.slice(12, 20));
    const [first = '', second = ''] = ids;
    const screen = (await run(bob, ['read', '--all'])).out;
    const begin = conversation.slice(14, 22);
    expect(screen).toContain(
      `they: Two things.\n    + file (261 kB; get it: handrail-chat save ${begin} ${first}): ` +
        `a letter to Bob.txt\n    + file (1 MB; get it: handrail-chat save ${begin} ${second}):`,
    );

    const [got] = (await done(bob, ['save', begin, first])).slice(-1);
    expect(got).toMatchObject({ event: 'saved', path: 'a letter to Bob.txt' });
    expect(saved(bob, 'a letter to Bob.txt').equals(letter)).toBe(true);
    expect(statSync(join(deskOf(bob), 'a letter to Bob.txt')).mode & 0o777).toBe(0o600);
    await done(bob, ['save', begin, '.photo']);
    expect(saved(bob, 'file.photo').equals(photo)).toBe(true);

    // Nobody's place is taken, unless that is wanted.
    fileOf(bob, 'a letter to Bob.txt', 'mine');
    const again = await run(bob, ['save', first]);
    expect([again.code, again.err]).toEqual([2, expect.stringContaining('is there already')]);
    expect(saved(bob, 'a letter to Bob.txt').toString()).toBe('mine');
    expect((await run(bob, ['save', first, '--force'])).out).toContain('is saved (261 kB)');
    expect(saved(bob, 'a letter to Bob.txt').equals(letter)).toBe(true);
    mkdirSync(join(deskOf(bob), 'letters'));
    for (const to of ['letters', 'letters/one']) await done(bob, ['save', first, '--to', to]);
    expect(saved(bob, 'letters/a letter to Bob.txt').equals(letter)).toBe(true);
    expect(saved(bob, 'letters/one').equals(letter)).toBe(true);
    expect(parts(bob)).toEqual([]);

    const keys = (await descriptorsOf(bob)).map(({ key }) => key);
    expect(keys).toHaveLength(2);
    expect((await descriptorsOf(ann)).length).toBeLessThanOrEqual(2);
    const file = join(temporaryFolder(), 'export');
    await done(bob, ['export', '--to', file]);
    const exported = readFileSync(file, 'utf8') + (await run(bob, ['export'])).out;
    expect(exported).toContain('"name":"a letter to Bob.txt"');
    expect(exported).toContain('1 MB; get it');
    for (const key of keys) {
      for (const shown of [exported, screen, JSON.stringify([said, message, got])]) {
        expect(shown).not.toContain(key);
      }
    }
    const secret = [...keys, 'only the two of us', 'a letter to', 'Two things', 'text/plain'];
    nowhere([ann, bob], [...secret, photo.subarray(1000, 1020), Buffer.from(keys[0]!, 'hex')]);
  });

  test('of no bytes needs no words, and comes too', async () => {
    const { ann, bob } = await twoPeople();
    fileOf(ann, 'nothing', '');
    await done(ann, ['send', '--file=nothing']);
    const [message] = (await done(bob, ['read'])).filter(({ event }) => event === 'message');
    expect(message).toMatchObject({ text: '', files: [{ name: 'nothing', size: 0 }] });
    await done(bob, ['save', 'nothing']);
    expect(saved(bob, 'nothing')).toHaveLength(0);
  });

  test('that was taken back is told of, and leaves nothing behind', async () => {
    const { ann, bob } = await twoPeople();
    fileOf(ann, 'a.txt', 'regretted');
    const said = await done(ann, ['send', '--file=a.txt']);
    const [{ file }] = said.filter(({ event }) => event === 'uploaded') as [Said];
    await withState(ann, (attachments) => attachments.remove(file.id));
    await done(bob, ['read']);
    const { code, said: told } = await run(bob, ['save', 'a.txt', '--json']);
    expect(code).toBe(1);
    expect(told.at(-1)).toMatchObject({ event: 'error', reason: 'NOT_FOUND', exit: 1 });
    expect(told.at(-1)?.['todo']).toContain('30 days');
    expect(readdirSync(deskOf(bob))).toEqual(['state']);
  });
});

describe('a command that is killed', () => {
  test('while a file goes or comes goes on where it stopped', async () => {
    const { ann, bob } = await twoPeople();
    const content = fileOf(ann, 'film.mp4', randomBytes(6 * MB));
    const args = ['send', '--id', ID, '--file', 'film.mp4', '--json'];
    const up = await stallingAfter(3 * MB);
    const sender = start(ann, args, up.environment);
    sender.process.stdin?.end('look');
    await until('half of it to be there', 60, () => up.proxy.stalled);
    await sender.kill();
    const before = await uploadsOf(ann);
    expect(before).toMatchObject([{ finished: false, descriptor: { size: 6 * MB } }]);
    expect(sender.of('kept')).toEqual([]);

    // So is the server, in the middle of the rest.
    const next = start(ann, args);
    next.process.stdin?.end('look');
    const went = await next.hears('progress');
    expect(went).toMatchObject({ way: 'upload', name: 'film.mp4', size: 6 * MB });
    expect(went['bytes']).toBeGreaterThan(MB);
    await killMessaging();
    const { code, said } = await next.ended;
    expect(code).toBe(0);
    const [uploaded] = said.filter(({ event }) => event === 'uploaded');
    expect(uploaded?.['file'].id).toBe(before[0]?.descriptor.id);
    expect(await uploadsOf(ann)).toEqual([]);
    // And once more says and sends nothing.
    const third = await done(ann, args.slice(0, -1), 'look');
    expect(third.map(({ event }) => event)).toEqual(['sent']);
    const read = await done(bob, ['read']);
    expect(texts(read)).toEqual(['look']);
    expect(filesIn(read)).toMatchObject([{ id: before[0]?.descriptor.id }]);

    const down = await stallingAfter(3 * MB);
    const saver = start(bob, ['save', 'film.mp4', '--json'], down.environment);
    await until('half of it to have come', 60, () => down.proxy.stalled);
    await saver.kill();
    const [part = ''] = parts(bob);
    const come = statSync(join(deskOf(bob), part)).size;
    expect(come).toBeGreaterThan(MB);
    expect(come).toBeLessThan(6 * MB);
    expect(existsSync(join(deskOf(bob), 'film.mp4'))).toBe(false);
    const [first, ...rest] = await done(bob, ['save', 'film.mp4']);
    expect(first).toMatchObject({ event: 'progress', way: 'download' });
    expect(first?.['bytes']).toBeGreaterThan(MB);
    expect(rest.at(-1)).toMatchObject({ event: 'saved', path: 'film.mp4' });
    expect(saved(bob, 'film.mp4').equals(content)).toBe(true);
    expect(parts(bob)).toEqual([]);
  });
});

describe('a command that is stopped', () => {
  test('while a file goes says how to go on, and sends the file as it is then', async () => {
    const { ann, bob } = await twoPeople();
    fileOf(ann, 'a.bin', randomBytes(2 * MB));
    const up = await stallingAfter(MB);
    const sender = start(ann, ['send', '--file', 'a.bin', '--json'], up.environment);
    sender.process.stdin?.end();
    await until('half of it to be there', 60, () => up.proxy.stalled);
    const { code, said } = await sender.interrupt();
    expect(code).toBe(130);
    const todo: string = said.at(-1)?.['todo'];
    const id = /run the same again with: --id ([0-9a-f]{32})$/.exec(todo)?.[1];
    const content = fileOf(ann, 'a.bin', randomBytes(2 * MB));
    await done(ann, ['send', '--file', 'a.bin', '--id', id ?? '']);
    expect(await uploadsOf(ann)).toEqual([]);
    await done(bob, ['read']);
    await done(bob, ['save', 'a.bin']);
    expect(saved(bob, 'a.bin').equals(content)).toBe(true);
  });
});

describe('what is no file to send or save', () => {
  test('is refused before anything is sent, in words that help', async () => {
    const { ann, bob } = await twoPeople();
    mkdirSync(join(deskOf(ann), 'folder'));
    fileOf(ann, 'large', '');
    truncateSync(join(deskOf(ann), 'large'), 11 << 20);
    fileOf(ann, 'a\u001b[2Jb.txt', 'x');
    fileOf(ann, 'good', 'x');
    const cases: readonly (readonly [string[], number, string])[] = [
      [['send', '--file', 'folder'], 2, 'folder is a folder'],
      [['send', '--file', 'good', '--file', 'none'], 2, 'none is not there'],
      [['send', '--file', 'large'], 2, 'too large: 10,483,200 bytes'],
      [['send', '--file', 'a\u001b[2Jb.txt'], 2, 'signs in it that do not show'],
      [['send', '--lines', '--file', 'good'], 2, 'not both'],
      [['save', 'good'], 1, 'No file here is called good'],
      [['save', 'ffff', 'good'], 1, 'no conversation that begins with ffff'],
    ];
    for (const [args, code, words] of cases) {
      const ended = await run(ann, args, 'text');
      expect(ended.err, args.join(' ')).toContain(words);
      expect(ended.code, args.join(' ')).toBe(code);
      expect(ended.err).not.toMatch(/\n\s+at |Error:|\u001b/);
      expect(ended.out).toBe('');
    }
    const long = await run(ann, ['send', '--file', 'good'], 'x'.repeat(16_385));
    expect([long.code, long.err]).toEqual([2, expect.stringContaining('at most 16384 bytes')]);
    expect(await uploadsOf(ann)).toEqual([]);
    expect(texts(await done(bob, ['read']))).toEqual([]);

    await done(ann, ['send', '--file', 'good'], 'at last');
    await done(bob, ['read']);
    const nowhereTo = await run(bob, ['save', 'good', '--to', 'none/good']);
    expect([nowhereTo.code, nowhereTo.err]).toEqual([1, expect.stringContaining('ENOENT')]);
    const folder = await run(bob, ['save', 'good', '--to', 'none/']);
    expect([folder.code, folder.err]).toEqual([2, expect.stringContaining('no folder none/')]);
    const away = { HANDRAIL_DATA: temporaryFolder() };
    const later = await run(bob, ['save', 'good', '--wait', '0'], '', away);
    expect([later.code, later.err]).toEqual([3, expect.stringContaining('No server runs on')]);
    const unsaid = await run(ann, ['send', '--file', 'good', '--wait', '0'], '', away);
    expect(unsaid.code).toBe(3);
    expect(unsaid.err).toMatch(/Nothing was said yet\. .* --id [0-9a-f]{32}/);
    await done(bob, ['save', 'good']);
    expect(saved(bob, 'good').toString()).toBe('x');
  });

  test('is asked about where there is nobody yet, too', async () => {
    const { code, err } = await run(await newPerson(), ['save', 'a.txt']);
    expect([code, err]).toEqual([1, expect.stringContaining('No file here is called a.txt')]);
  });
});

describe('at a terminal', () => {
  test('it is seen how far a file is, and words may go with it', async () => {
    const { ann, bob } = await twoPeople();
    const content = fileOf(ann, 'a photo.jpg', randomBytes(MB));
    const sending = atTerminal(ann, ['send', '--file', 'a photo.jpg']);
    await until('the question', 30, () => sending.out.includes('Your message, or nothing.'));
    expect(sending.out).toContain('a photo.jpg: 100 % of 1 MB');
    sending.write('look\r\u0004');
    expect((await sending.ended).code).toBe(0);
    const talking = atTerminal(bob, ['talk']);
    await until('the file', 20, () => talking.out.includes('): a photo.jpg'));
    const mine = fileOf(bob, 'my own.png', randomBytes(2 * MB));
    talking.write('/file none\r');
    await until('a refusal', 20, () => talking.out.includes('The file none is not there.'));
    talking.write('/file "my own.png"\r');
    talking.write('there it is\r');
    const delivered = /\(message \d+: delivered to the server\)/g;
    await until('both places', 30, () => talking.out.match(delivered)?.length === 2);
    talking.write('/quit\r');
    expect((await talking.ended).code).toBe(0);
    const read = await done(ann, ['read']);
    expect(texts(read)).toEqual(['look', '', 'there it is']);
    await done(ann, ['save', 'my own.png', '--to', 'theirs.png']);
    expect(saved(ann, 'theirs.png').equals(mine)).toBe(true);
    const saving = atTerminal(bob, ['save', 'a photo.jpg']);
    const { out, code } = await saving.ended;
    expect([code, out]).toEqual([0, expect.stringContaining('a photo.jpg is saved (1 MB).')]);
    expect(out).toContain('a photo.jpg: 100 % of 1 MB');
    expect(saved(bob, 'a photo.jpg').equals(content)).toBe(true);
  });
});
