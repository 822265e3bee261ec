import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { MAX_ATTACHMENTS } from '../attachments/descriptor.ts';
import { REPORT_REASONS } from '../conversations/reports.ts';
import type { ReportReasonName } from '../conversations/reports.ts';
import { usageFault } from './faults.ts';

/** How many words a command takes, at least and at most, and its options beside COMMON. */
interface Takes {
  readonly words: readonly [number, number];
  readonly options: readonly string[];
}

const VERBS = {
  new: { words: [0, 0], options: [] },
  join: { words: [0, 0], options: [] },
  whoami: { words: [0, 0], options: [] },
  devices: { words: [0, 1], options: [] },
  'add-device': { words: [1, 1], options: [] },
  'remove-device': { words: [1, 1], options: ['yes'] },
  conversations: { words: [0, 0], options: [] },
  group: { words: [0, 0], options: [] },
  invite: { words: [0, 1], options: ['list', 'revoke'] },
  accept: { words: [0, 0], options: [] },
  talk: { words: [0, 1], options: ['check'] },
  send: { words: [0, 1], options: ['lines', 'id', 'file'] },
  read: { words: [0, 1], options: ['follow', 'all', 'check'] },
  save: { words: [1, 2], options: ['to', 'force'] },
  verify: { words: [0, 1], options: ['compared'] },
  leave: { words: [0, 1], options: ['yes'] },
  report: { words: [0, 1], options: ['message', 'reason', 'note', 'id'] },
  export: { words: [0, 1], options: ['to'] },
} as const satisfies Record<string, Takes>;

export type Verb = keyof typeof VERBS;

const OPTIONS = {
  state: { type: 'string' },
  data: { type: 'string' },
  server: { type: 'string' },
  ca: { type: 'string' },
  'passphrase-file': { type: 'string' },
  // Known so that it can be refused in words that help.
  passphrase: { type: 'string' },
  wait: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  yes: { type: 'boolean' },
  check: { type: 'string' },
  lines: { type: 'boolean' },
  id: { type: 'string' },
  file: { type: 'string', multiple: true },
  follow: { type: 'boolean', short: 'f' },
  all: { type: 'boolean' },
  compared: { type: 'boolean' },
  to: { type: 'string' },
  force: { type: 'boolean' },
  list: { type: 'boolean' },
  revoke: { type: 'string' },
  message: { type: 'string', multiple: true },
  reason: { type: 'string' },
  note: { type: 'boolean' },
} as const;

const COMMON = ['state', 'data', 'server', 'ca', 'passphrase-file', 'passphrase', 'wait', 'json'];

const DEFAULT_WAIT_SECONDS = 30;
/** Somebody walks to the other device and types. */
const JOIN_WAIT_SECONDS = 600;
const MAX_WAIT_SECONDS = 7 * 24 * 60 * 60;
const DEFAULT_CHECK_SECONDS = 20;

export type Environment = Readonly<Record<string, string | undefined>>;

/** What somebody typed, checked. */
export interface CommandLine {
  readonly verb: Verb;
  /** The conversation, device or code that was named. */
  readonly what: string | undefined;
  /** The folder of this device. */
  readonly state: string;
  /** Where the server is, as far as it was said now. */
  readonly place: { readonly data?: string; readonly server?: string; readonly ca?: string };
  readonly passphraseFile: string | undefined;
  readonly waitMs: number;
  readonly checkMs: number;
  readonly json: boolean;
  readonly yes: boolean;
  readonly lines: boolean;
  readonly id: string | undefined;
  /** Paths of files to send. */
  readonly files: readonly string[];
  /** The file that was named, to save it. */
  readonly file: string | undefined;
  readonly follow: boolean;
  readonly all: boolean;
  readonly compared: boolean;
  readonly to: string | undefined;
  readonly force: boolean;
  readonly list: boolean;
  /** The invitation that nobody should come by any more. */
  readonly revoke: string | undefined;
  /** Places of messages to report. */
  readonly messages: readonly bigint[];
  readonly reason: ReportReasonName | undefined;
  /** A note comes on standard input. */
  readonly note: boolean;
}

export type Parsed = CommandLine | { readonly verb: 'help'; readonly about: Verb | undefined };

/** Understands a command line. Fault with EXIT.usage for what makes no sense. */
export function parseCommandLine(args: readonly string[], environment: Environment): Parsed {
  const { values, positionals } = understood(args);
  const [first, ...words] = positionals;
  if (first === undefined && values.help !== true) {
    throw usageFault('What should be done?', 'See: handrail-chat --help');
  }
  if (values.help || first === 'help') {
    const about = first === 'help' ? words[0] : first;
    return { verb: 'help', about: about === undefined ? undefined : verbOf(about) };
  }
  const verb = verbOf(first ?? '');
  checkThatItTakes(verb, words, Object.keys(values));
  if (values.passphrase !== undefined) {
    const what = 'A passphrase is never given as an argument: others on this machine could see it.';
    const todo =
      'Leave it away to be asked for it; or use --passphrase-file FILE or HANDRAIL_PASSPHRASE.';
    throw usageFault(what, todo);
  }
  const { id, file: files = [] } = values;
  if (id !== undefined && !/^[0-9a-f]{32}$/.test(id)) {
    throw usageFault('--id wants 32 hexadecimal digits.', 'One way: openssl rand -hex 16');
  }
  if (files.length > MAX_ATTACHMENTS) {
    throw usageFault(`At most ${MAX_ATTACHMENTS} files go with a message.`, 'Send it in parts.');
  }
  if (files.length > 0 && values.lines) {
    throw usageFault('Files go with one message: give --file or --lines, not both.');
  }
  const file = verb === 'save' ? words.at(-1) : undefined;
  const wait = verb === 'join' ? JOIN_WAIT_SECONDS : DEFAULT_WAIT_SECONDS;
  return {
    verb,
    what: verb === 'save' && words.length === 1 ? undefined : words[0],
    state: values.state ?? environment['HANDRAIL_CHAT_STATE'] ?? defaultState(environment),
    place: placeOf(values, environment),
    passphraseFile: values['passphrase-file'] ?? environment['HANDRAIL_PASSPHRASE_FILE'],
    waitMs: seconds('--wait', values.wait, wait, 0, MAX_WAIT_SECONDS),
    checkMs: seconds('--check', values.check, DEFAULT_CHECK_SECONDS, 1, 3600),
    json: values.json ?? false,
    yes: values.yes ?? false,
    lines: values.lines ?? false,
    id,
    files,
    file,
    follow: values.follow ?? false,
    all: values.all ?? false,
    compared: values.compared ?? false,
    to: values.to,
    force: values.force ?? false,
    list: values.list ?? false,
    revoke: values.revoke,
    messages: (values.message ?? []).map(messagePlace),
    reason: reasonOf(values.reason),
    note: values.note ?? false,
  };
}

function messagePlace(given: string): bigint {
  if (/^[1-9]\d{0,17}$/.test(given)) return BigInt(given);
  throw usageFault(
    '--message wants the number of a message in its conversation.',
    'See which there are: handrail-chat report',
  );
}

function reasonOf(given: string | undefined): ReportReasonName | undefined {
  if (given === undefined || Object.hasOwn(REPORT_REASONS, given)) {
    return given as ReportReasonName | undefined;
  }
  const todo = `One of: ${Object.keys(REPORT_REASONS).join(', ')}`;
  throw usageFault(`There is no reason "${given}".`, todo);
}

function understood(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true, strict: true });
  } catch (error) {
    // Node's words name the option and never its value.
    const said = error instanceof Error ? error.message.split('. ')[0] : '';
    throw usageFault(`${said}.`);
  }
}

function verbOf(word: string): Verb {
  if (Object.hasOwn(VERBS, word)) return word as Verb;
  throw usageFault(`There is no command "${word}".`, `There are: ${Object.keys(VERBS).join(', ')}`);
}

/** What is no argument, so that it stays out of the shell's history. */
const ON_STANDARD_INPUT: Readonly<Partial<Record<Verb, string>>> = {
  send:
    'A message comes on standard input, so that it stays out of the shell’s history: ' +
    'handrail-chat send [CONVERSATION] and then type, or pipe it.',
  accept:
    'An invitation comes on standard input, so that it stays out of the shell’s history: ' +
    'handrail-chat accept and then paste it, or pipe it.',
};

function checkThatItTakes(verb: Verb, words: readonly string[], options: readonly string[]): void {
  const see = `See: handrail-chat ${verb} --help`;
  const { words: [least, most], options: own } = VERBS[verb];
  for (const option of options) {
    if (COMMON.includes(option) || (own as readonly string[]).includes(option)) continue;
    throw usageFault(`"${verb}" has no option --${option}.`, see);
  }
  if (words.length < least) throw usageFault(`"${verb}" needs one more word.`, see);
  if (words.length <= most) return;
  const todo = ON_STANDARD_INPUT[verb] ?? see;
  const takes = ['no word', 'one word', 'two words'][most];
  throw usageFault(`"${verb}" takes ${takes} beside its options.`, todo);
}

function placeOf(
  values: { readonly data?: string; readonly server?: string; readonly ca?: string },
  environment: Environment,
): CommandLine['place'] {
  if (values.data !== undefined && values.server !== undefined) {
    throw usageFault('Give --data or --server, not both.');
  }
  const { ca } = values;
  const withCa = ca === undefined ? {} : { ca };
  if (values.data !== undefined) return { data: values.data };
  const server = values.server ?? environment['HANDRAIL_SERVER'];
  if (server !== undefined) return { server: serverAddress(server), ...withCa };
  const data = environment['HANDRAIL_DATA'];
  return data === undefined ? withCa : { data };
}

const HERE = ['localhost', '127.0.0.1', '[::1]'];

/** As createNodeTransport wants it. Without TLS only on this machine: calls carry a token. */
export function serverAddress(given: string): string {
  const text = /^[a-z]+:\/\//i.test(given) ? given : `https://${given}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const bare = url !== undefined && url.pathname === '/' && url.search === '' && url.hash === '';
  if (!bare || url.username !== '' || !['https:', 'http:'].includes(url.protocol)) {
    throw usageFault('--server wants an address such as https://handrail.example:443.');
  }
  if (url.protocol === 'http:' && !HERE.includes(url.hostname)) {
    throw usageFault(
      'Without TLS (http://) everybody on the way could act as you.',
      'Use https://; with --ca FILE for a certificate of your own.',
    );
  }
  return url.origin;
}

function defaultState(environment: Environment): string {
  const folder = environment['XDG_STATE_HOME'] ?? join(homedir(), '.local/state');
  return join(folder, 'handrail-chat');
}

function seconds(
  name: string,
  given: string | undefined,
  otherwise: number,
  least: number,
  most: number,
): number {
  const value = given === undefined ? otherwise : /^\d{1,9}$/.test(given) ? Number(given) : NaN;
  if (value >= least && value <= most) return value * 1000;
  throw usageFault(`${name} wants whole seconds, ${least} to ${most}.`);
}
