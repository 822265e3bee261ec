import { readFileSync, readdirSync, statSync, chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { until } from '../support/until.ts';
import {
  atTerminal,
  done,
  newHome,
  newPerson,
  nowhere,
  run,
  secondDevice,
  start,
  texts,
  twoPeople,
} from './commands.ts';
import type { Running } from './commands.ts';
import { PASSPHRASE, temporaryFolder } from './people.ts';
import { killMessaging } from './talkers.ts';

const ID = 'a1b2c3d4e5f60718293a4b5c6d7e8f90';
/** Looks often, so that devices are let in while a test waits. */
const FOLLOW = ['read', '--follow', '--json', '--check', '1'];

/** Waits until one shows so many messages. */
const shows = (one: Running, count: number) =>
  until(`${count} messages`, 30, () => texts(one.said()).length >= count);

describe('two people with two devices each', () => {
  test('talk, and read the same in the same order, and see the same number', async () => {
    const { ann, bob, conversation } = await twoPeople();
    const [ann2, bob2] = await Promise.all([secondDevice(ann), secondDevice(bob)]);
    const homes = [ann, ann2, bob, bob2];
    await done(ann, ['send'], 'The first word is hard.\n');
    const followers = homes.map((home) => start(home, FOLLOW));
    for (const one of followers) await shows(one, 1);
    // Nobody has to stop reading to write.
    for (const [i, home] of homes.entries()) {
      const begin = conversation.slice(14, 20);
      const said = await done(home, ['send', begin], `from device ${i}\nand more`);
      expect(said.map(({ event }) => event)).toEqual(['kept', 'sent']);
    }
    const others = homes.map((_, i) => `from device ${i}\nand more`);
    const wanted = ['The first word is hard.', ...others];
    for (const one of followers) await shows(one, wanted.length);
    for (const one of followers) {
      const { code, said } = await one.interrupt();
      expect(code).toBe(0);
      expect(texts(said)).toEqual(wanted);
    }
    const numbers = await Promise.all(homes.map((home) => done(home, ['verify'])));
    const [first] = numbers.map(([one]) => one?.['verification']);
    expect(first).toMatch(/^[0-9]{30}$/);
    for (const [one] of numbers) {
      expect(one?.['verification']).toBe(first);
      expect(one?.['devices'].map(({ owner }: { owner: string }) => owner).sort()).toEqual([
        'they',
        'they',
        'this device',
        'you',
      ]);
    }
    nowhere(homes, [...wanted, PASSPHRASE, 'The first word']);
  });
});

describe('a command that is killed', () => {
  test('while it sends goes on when it is run again, and nothing is lost or doubled', async () => {
    const { ann, bob } = await twoPeople();
    const reader = start(bob, FOLLOW);
    const lines = Array.from({ length: 160 }, (_, i) => `line ${i}`);
    const args = ['send', '--lines', '--id', ID, '--json'];
    for (const kept of [1, 20]) {
      const sender = start(ann, args);
      sender.process.stdin?.end(lines.join('\n'));
      await until('lines to be kept', 30, () => sender.of('kept').length >= kept);
      await sender.kill();
    }
    // So is the server, in the middle.
    const last = start(ann, args);
    last.process.stdin?.end(lines.join('\n'));
    await last.hears('sent');
    await killMessaging();
    const { code, said } = await last.ended;
    expect(said.at(-1)).toMatchObject({ event: 'done', messages: 160 });
    expect(code).toBe(0);
    await shows(reader, 160);
    expect(texts(reader.said())).toEqual(lines);
    // And once more changes nothing.
    await done(ann, args.slice(0, -1), lines.join('\n'));
    const mine = await done(ann, ['read']);
    expect(texts(mine)).toEqual(lines);
    const more = await done(ann, ['send'], 'the end');
    expect(more).toHaveLength(2);
    await shows(reader, 161);
    expect(texts(reader.said())).toEqual([...lines, 'the end']);
  });

  test('while it talks shows everything when it is started again', async () => {
    const { ann, bob } = await twoPeople();
    await done(ann, ['send'], 'hello');
    const [talking, reader] = [start(bob, ['talk', '--json']), start(ann, FOLLOW)];
    await shows(talking, 1);
    talking.write('one\ntwo\n');
    await until('two to be kept', 20, () => talking.of('kept').length === 2);
    await talking.kill();
    await done(ann, ['send'], 'meanwhile');
    const again = start(bob, ['talk', '--json']);
    again.process.stdin?.end('three\n');
    const { code } = await again.ended;
    expect(code).toBe(0);
    await shows(reader, 5);
    expect(texts(reader.said()).sort()).toEqual(['hello', 'meanwhile', 'one', 'three', 'two']);
    const all = await done(bob, ['read', '--all']);
    await reader.interrupt();
    expect(texts(all)).toEqual(texts(reader.said()));
  });

  test('or has no server keeps what was said, and says so', async () => {
    const { ann, bob, conversation } = await twoPeople();
    await done(ann, ['send'], 'hello');
    const nowhere = { HANDRAIL_DATA: temporaryFolder() };
    const args = ['send', conversation, '--wait', '0'];
    const { code, err } = await run(ann, args, 'into the dark', nowhere);
    expect(code).toBe(3);
    expect(err).toContain('No server runs on');
    expect((await run(ann, ['read', '--json', '--wait', '0'], '', nowhere)).code).toBe(3);
    await done(ann, ['read']);
    expect(texts(await done(bob, ['read']))).toEqual(['hello', 'into the dark']);
  });
});

describe('devices', () => {
  test('that come are told of, and the number is to be compared again', async () => {
    const { ann, bob } = await twoPeople();
    await done(ann, ['send'], 'hello');
    await done(bob, ['read']);
    expect((await done(bob, ['verify', '--compared'])).at(-1)).toMatchObject({
      compared: 'same-devices',
    });
    const [reader, other] = [start(bob, FOLLOW), start(ann, FOLLOW)];
    await reader.hears('connection', ({ state }) => state === 'caught-up');
    const late = await secondDevice(ann);
    const came = await reader.hears('devices', ({ count }) => count === 3);
    expect(came).toMatchObject({ compared: 'other-devices', begun: false });
    expect(came['added']).toMatchObject([{ owner: 'they' }]);
    expect((await other.hears('devices', ({ count }) => count === 3))['added']).toMatchObject([
      { owner: 'you' },
    ]);
    const words = await run(bob, ['read', '--all']);
    expect(words.out).toContain('THE VERIFICATION NUMBER HAS CHANGED');
    await done(late, ['send'], 'I am new');
    await shows(reader, 1);
    // And it goes again.
    const [, second] = await done(ann, ['devices']);
    const following = start(late, FOLLOW);
    await shows(following, 1);
    await done(ann, ['remove-device', second?.['device'].slice(8, 16)]);
    const gone = await reader.hears('devices', ({ removed }) => removed.length === 1);
    expect(gone).toMatchObject({ count: 2, compared: 'same-devices' });
    expect((await following.ended).code).toBe(5);
    expect((await run(late, ['send', '--json'], 'anybody?')).code).toBe(5);
    expect(texts(await done(late, ['export']))).toEqual(['I am new']);
  });

  test('receive in one program at a time', async () => {
    const { ann } = await twoPeople();
    const first = start(ann, FOLLOW);
    await first.hears('connection', ({ state }) => state === 'caught-up');
    const second = start(ann, FOLLOW);
    await second.hears('connection', ({ state }) => state === 'caught-up');
    const { code, said } = await first.ended;
    expect(code).toBe(6);
    expect(said.at(-1)).toMatchObject({ event: 'error', reason: 'REPLACED', exit: 6 });
    expect((await second.interrupt()).code).toBe(0);
  });
});

describe('what is kept', () => {
  test('is for its owner alone, also in a folder that was open', async () => {
    const home = await newPerson();
    expect(statSync(home.state).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(home.state)) {
      expect(statSync(join(home.state, name)).mode & 0o077, name).toBe(0);
    }
    chmodSync(home.state, 0o755);
    await done(home, ['whoami']);
    expect(statSync(home.state).mode & 0o777).toBe(0o700);
  });

  test('opens with its passphrase alone, wherever that comes from', async () => {
    const home = await newPerson();
    const wrong = await run(home, ['whoami'], '', { HANDRAIL_PASSPHRASE: 'another bird' });
    expect(wrong.code).toBe(4);
    expect(wrong.err).toContain('This is not the passphrase of this device.');
    const file = join(temporaryFolder(), 'passphrase');
    writeFileSync(file, `${PASSPHRASE}\n`, { mode: 0o600 });
    const none = { HANDRAIL_PASSPHRASE: '' };
    expect((await run(home, ['whoami', '--passphrase-file', file], '', none)).code).toBe(0);
    chmodSync(file, 0o644);
    const open = await run(home, ['whoami', '--passphrase-file', file], '', none);
    expect(open.code).toBe(2);
    expect(open.err).toContain(`chmod 600 ${file}`);
  });

  test('is not made where other things are, nor with a passphrase that is too short', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'letters'), 'mine');
    expect((await run({ state: folder }, ['new'])).code).toBe(4);
    expect(readdirSync(folder)).toEqual(['letters']);
    const short = await run(newHome(), ['new'], '', { HANDRAIL_PASSPHRASE: 'short' });
    expect(short.code).toBe(2);
    expect(short.err).toContain('at least 8 characters');
    const nothing = newHome();
    expect((await run(nothing, ['read'])).code).toBe(4);
    mkdirSync(nothing.state);
    expect((await run(nothing, ['talk'])).code).toBe(4);
    expect(readdirSync(nothing.state)).toEqual([]);
  });

  test('can be taken along, once', async () => {
    const { ann, bob } = await twoPeople();
    await done(ann, ['send'], 'keep this');
    await done(bob, ['send'], 'yes');
    await done(ann, ['read']);
    const file = join(temporaryFolder(), 'export.txt');
    expect((await run(ann, ['export', '--to', file])).code).toBe(0);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const text = readFileSync(file, 'utf8');
    expect(text).toMatch(/\d{4}-\d\d-\d\d \d\d:\d\d {2}you: keep this\n/);
    expect(text).toMatch(/they: yes\n/);
    const again = await run(ann, ['export', '--to', file]);
    expect(again.code).toBe(2);
    expect(again.err).toContain('is there already');
    expect(texts(await done(ann, ['export']))).toEqual(['keep this', 'yes']);
  });
});

describe('at a terminal', () => {
  test('it asks for the passphrase, and shows it to nobody', async () => {
    const home = newHome();
    const none = { HANDRAIL_PASSPHRASE: '' };
    const making = atTerminal(home, ['new'], none);
    for (const question of ['New passphrase: ', 'Once more: ']) {
      await until(question, 20, () => making.out.includes(question));
      making.write('four words are goos\u007fd\r');
    }
    await until('the device', 20, () => making.out.includes('This device is ready.'));
    expect((await making.ended).out).not.toContain('four words');
    const passphrase = { HANDRAIL_PASSPHRASE: 'four words are good' };
    expect((await run(home, ['whoami'], '', passphrase)).code).toBe(0);
    const asking = atTerminal(home, ['whoami'], none);
    await until('the question', 20, () => asking.out.includes('Passphrase of this device: '));
    asking.write('\u0003');
    expect((await asking.ended).code).toBe(130);
  });

  test('people talk while others do, and are told what becomes of it', async () => {
    const { ann, bob, conversation } = await twoPeople();
    await done(ann, ['send'], 'hello');
    const talking = atTerminal(bob, ['talk']);
    await until('the message', 20, () => talking.out.includes('they: hello'));
    await until('the prompt', 20, () => talking.out.includes('> '));
    talking.write('good to hear from you\r');
    const delivered = /\(message \d+: delivered to the server\)/;
    await until('the place', 20, () => delivered.test(talking.out));
    talking.write('/verify\r');
    await until('the number', 20, () => /(\d{5} ){5}\d{5}/.test(talking.out));
    await killMessaging();
    talking.write('still there?\r');
    await until('the loss', 20, () => talking.out.includes('The connection is lost'));
    await until('its end', 20, () => talking.out.includes('Connected again'));
    await done(ann, ['send'], 'yes\u001b[2J');
    await until('the answer', 20, () => talking.out.includes('they: yes\ufffd[2J'));
    talking.write('/quit\r');
    expect((await talking.ended).code).toBe(0);
    const all = ['hello', 'good to hear from you', 'still there?', 'yes\u001b[2J'];
    expect(texts(await done(bob, ['read', conversation, '--all']))).toEqual(all);
  });
});

describe('what makes no sense', () => {
  test('is said with a reason, and never with a stack', async () => {
    const ann = await newPerson();
    const nobody = await run(ann, ['talk', '--json', '--wait', '0']);
    expect(nobody.code).toBe(1);
    expect(nobody.said.at(-1)).toMatchObject({ event: 'error', reason: 'NO_CONVERSATION' });
    const cases: readonly (readonly [string[], number, string])[] = [
      [['talk', 'xyz!'], 2, 'no name of a conversation'],
      [['send', 'abcd1234'], 1, 'no conversation that begins with'],
      [['add-device', 'handrail1.abc'], 2, 'no code of a device'],
      [['remove-device', 'ffff'], 1, 'No device of yours begins so'],
      [['sing'], 2, 'There is no command "sing"'],
      [['read', '--passphrase', 'x'], 2, 'never given as an argument'],
    ];
    for (const [args, code, words] of cases) {
      const ended = await run(ann, args, 'text');
      expect(ended.err, args.join(' ')).toContain(words);
      expect(ended.code, args.join(' ')).toBe(code);
      expect(ended.err).not.toMatch(/\n\s+at |Error:/);
      expect(ended.out).toBe('');
    }
    const [{ device } = { device: '' }] = await done(ann, ['devices']);
    const own = await run(ann, ['remove-device', device]);
    expect([own.code, own.err]).toEqual([2, expect.stringContaining('--yes')]);
    expect((await run(ann, ['send'], ' \n')).code).toBe(1);
  });

  test('a message that is too long is not kept', async () => {
    const { ann, conversation } = await twoPeople();
    const { code, err } = await run(ann, ['send', conversation], 'x'.repeat(16_385));
    expect([code, err]).toEqual([2, expect.stringContaining('at most 16384 bytes')]);
    expect((await run(ann, ['send', conversation], '')).code).toBe(2);
    expect(texts(await done(ann, ['read', '--all']))).toEqual([]);
  });

  test('help says how, with nothing there', async () => {
    const { code, out } = await run(newHome(), ['--help']);
    expect(code).toBe(0);
    expect(out).toContain('Nothing you sent is lost');
  });
});

describe('the devices of a conversation', () => {
  test('are listed with their keys, for both', async () => {
    const { ann, bob, conversation } = await twoPeople();
    const begin = conversation.slice(14, 20);
    const [ofAnn, ofBob] = await Promise.all(
      [ann, bob].map(async (home) => done(home, ['devices', begin])),
    );
    const owners = (lines: typeof ofAnn) => lines?.map(({ owner }) => owner).sort();
    expect([owners(ofAnn), owners(ofBob)]).toEqual([
      ['they', 'you'],
      ['they', 'you'],
    ]);
    const keys = (lines: typeof ofAnn) => lines?.map((line) => line['public_key']).sort();
    expect(keys(ofAnn)).toEqual(keys(ofBob));
    expect(keys(ofAnn)?.[0]).toMatch(/^[0-9a-f]{64}$/);
  });
});
