// `handrail-chat` as somebody runs it: a process of its own.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { expect, inject, onTestFinished } from 'vitest';

import { SealedStore, Session } from '../../src/index.ts';
import { FileStore } from '../../src/node.ts';
import { until } from '../support/until.ts';
import { PASSPHRASE, pair, patiently, temporaryFolder, transportTo } from './people.ts';

export const LAUNCHER = join(import.meta.dirname, '../../../../../tools/handrail-chat');

/** One of its lines, with --json. */
export type Said = { readonly event: string } & Record<string, any>;

export interface Ended {
  readonly code: number | null;
  readonly said: Said[];
  /** Standard output and standard error as they are. */
  readonly out: string;
  readonly err: string;
}

/** The folder that is a device. */
export interface Home {
  readonly state: string;
}

export const newHome = (): Home => ({ state: join(temporaryFolder(), 'state') });

export function environmentOf({ state }: Home, more: Record<string, string> = {}) {
  return {
    PATH: process.env['PATH'] ?? '',
    HANDRAIL_CHAT_STATE: state,
    HANDRAIL_DATA: inject('folder'),
    HANDRAIL_PASSPHRASE: PASSPHRASE,
    ...more,
  };
}

/** A command that runs. */
export class Running {
  out = '';
  err = '';
  readonly ended: Promise<Ended>;

  constructor(readonly process: ChildProcess) {
    process.stdout?.setEncoding('utf8').on('data', (text: string) => (this.out += text));
    process.stderr?.setEncoding('utf8').on('data', (text: string) => (this.err += text));
    process.stdin?.on('error', () => {});
    this.ended = new Promise((resolve) =>
      process.once('close', (code) => {
        const said = process.spawnargs.includes('--json') ? this.said() : [];
        resolve({ code, said, out: this.out, err: this.err });
      }),
    );
  }

  /** What it said so far, line by line. */
  said(): Said[] {
    const whole = this.out.slice(0, this.out.lastIndexOf('\n') + 1);
    return whole
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Said);
  }

  of(event: string): Said[] {
    return this.said().filter((one) => one.event === event);
  }

  write(text: string): void {
    this.process.stdin?.write(text);
  }

  /** Waits for an event. */
  hears(event: string, like: (one: Said) => boolean = () => true): Promise<Said> {
    return until(`${event} from ${this.process.spawnargs.slice(1).join(' ')}`, 30, () => {
      const found = this.of(event).find(like);
      const { exitCode, signalCode } = this.process;
      if (found === undefined && (exitCode ?? signalCode) !== null) {
        const how = exitCode ?? signalCode;
        throw new Error(`it ended (${how}): ${this.out.slice(-500)} ${this.err}`);
      }
      return found;
    });
  }

  /** Ctrl-C. */
  async interrupt(): Promise<Ended> {
    this.process.kill('SIGINT');
    return this.ended;
  }

  async kill(): Promise<Ended> {
    this.process.kill('SIGKILL');
    return this.ended;
  }
}

/** Starts a command, in the folder that its state lies in; it ends with the test. */
export function start(
  home: Home,
  args: readonly string[],
  more: Record<string, string> = {},
): Running {
  const cwd = dirname(home.state);
  return watched(spawn(LAUNCHER, args, { env: environmentOf(home, more), stdio: 'pipe', cwd }));
}

/** Starts a command at a terminal of its own, for people. */
export function atTerminal(
  home: Home,
  args: readonly string[],
  more: Record<string, string> = {},
): Running {
  const command = [LAUNCHER, ...args].map((word) => `'${word}'`).join(' ');
  const env = { ...environmentOf(home, more), TERM: 'xterm', SHELL: '/bin/sh' };
  const cwd = dirname(home.state);
  return watched(spawn('script', ['-qefc', command, '/dev/null'], { env, stdio: 'pipe', cwd }));
}

function watched(process: ChildProcess): Running {
  const running = new Running(process);
  onTestFinished(async () => {
    if (process.exitCode === null) process.kill('SIGKILL');
    await running.ended;
  });
  return running;
}

/** Runs a command to its end, with something on its standard input. */
export async function run(
  home: Home,
  args: readonly string[],
  input = '',
  more: Record<string, string> = {},
): Promise<Ended> {
  const running = start(home, args, more);
  running.process.stdin?.end(input);
  return running.ended;
}

/** The same with --json, and it must succeed. */
export async function done(home: Home, args: readonly string[], input = ''): Promise<Said[]> {
  const { code, said, out, err } = await run(home, [...args, '--json'], input);
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${out}${err}`);
  return said;
}

export async function newPerson(): Promise<Home> {
  const home = newHome();
  await done(home, ['new']);
  return home;
}

/** Another device of the same person. */
export async function secondDevice(first: Home): Promise<Home> {
  const home = newHome();
  const joining = start(home, ['join', '--json']);
  const { code } = await joining.hears('code');
  await done(first, ['add-device', code]);
  const ended = await joining.ended;
  if (ended.code !== 0) throw new Error(`join ended with ${ended.code}: ${ended.out}`);
  return home;
}

/** Brings two people together the long way; the name of their conversation. */
export async function bringTogether(ann: Home, bob: Home, language: string): Promise<string> {
  const open = async ({ state }: Home) => {
    const store = await SealedStore.unlock(await FileStore.open(state), PASSPHRASE);
    const session = await patiently(() => Session.signIn(transportTo(), store));
    return { store, session, folder: state };
  };
  const people = [await open(ann), await open(bob)] as const;
  const conversation = await pair(...people, language);
  for (const { store } of people) await store.close();
  return conversation;
}

export interface Pair {
  readonly ann: Home;
  readonly bob: Home;
  readonly conversation: string;
}

const LANGUAGES = ['cs', 'da', 'fi', 'hu', 'it', 'nl', 'pl', 'ro', 'sv', 'tr', 'el'];
let pairs = 0;

/** Two people with a device each, and their conversation. */
export async function twoPeople(): Promise<Pair> {
  const [ann, bob] = await Promise.all([newPerson(), newPerson()]);
  const language = LANGUAGES[pairs++] ?? '';
  return { ann, bob, conversation: await bringTogether(ann, bob, language) };
}

/** No file of the server or of these devices holds any of these; the check can fail. */
export function nowhere(homes: readonly Home[], secrets: readonly (string | Buffer)[]): void {
  const folders = [inject('folder'), ...homes.map(({ state }) => state)];
  const files = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile()),
  );
  const bytes = files.map(({ parentPath, name }) => readFileSync(join(parentPath, name)));
  expect(bytes.some((one) => one.includes('talk/line/conversations/'))).toBe(true);
  for (const secret of secrets) {
    for (const [i, one] of bytes.entries()) {
      expect(one.includes(secret), `${files[i]?.name} holds ${secret}`).toBe(false);
    }
  }
}

/** What was said, as a command shows it. */
export const texts = (said: readonly Said[]): string[] =>
  said.filter(({ event }) => event === 'message' || event === 'sent').map(({ text }) => text);
