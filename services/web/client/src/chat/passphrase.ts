import { open } from 'node:fs/promises';
import { openSync } from 'node:fs';
import { ReadStream } from 'node:tty';

import { EXIT, Fault, Interrupted, usageFault } from './faults.ts';

const MAX_BYTES = 4096;
/** Whom others may not read. */
const OTHERS = 0o077;

export interface PassphraseSource {
  readonly file: string | undefined;
  /** HANDRAIL_PASSPHRASE. */
  readonly variable: string | undefined;
  /** Ask twice: it is a new one. */
  readonly fresh: boolean;
}

/** The passphrase, from a file, a variable, or the person. Fault when there is none to be had. */
export async function passphraseFrom({ file, variable, fresh }: PassphraseSource): Promise<string> {
  if (file !== undefined) return fromFile(file);
  if (variable !== undefined && variable !== '') return variable;
  const terminal = openTerminal();
  if (terminal === undefined) {
    throw usageFault(
      'There is no passphrase, and no terminal to ask for one.',
      'Use --passphrase-file FILE, or the variable HANDRAIL_PASSPHRASE.',
    );
  }
  try {
    if (!fresh) return await ask(terminal, 'Passphrase of this device: ');
    process.stderr.write(
      'A passphrase seals what is on this device. Four or five words are good.\n' +
        'Nobody can bring a forgotten one back.\n',
    );
    const first = await ask(terminal, 'New passphrase: ');
    if ((await ask(terminal, 'Once more: ')) === first) return first;
    throw new Fault(EXIT.usage, 'The two were not the same.', 'Run it again.', 'USAGE');
  } finally {
    terminal.destroy();
  }
}

async function fromFile(path: string): Promise<string> {
  const failed = (why: string, todo: string) =>
    new Fault(EXIT.usage, `The passphrase file ${path} ${why}.`, todo, 'USAGE');
  const file = await open(path).catch((error: NodeJS.ErrnoException) => {
    throw failed(`cannot be read (${error.code})`, 'Check the name and who may read it.');
  });
  try {
    const about = await file.stat();
    if (about.isFile() && (about.mode & OTHERS) !== 0) {
      throw failed('can be read by others on this machine', `chmod 600 ${path}`);
    }
    const bytes = Buffer.alloc(MAX_BYTES + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await file.read(bytes, length, bytes.length - length);
      length += bytesRead;
      if (bytesRead === 0 || length > MAX_BYTES) break;
    }
    if (length > MAX_BYTES) throw failed('is too long', 'It holds one line: the passphrase.');
    const [line = ''] = bytes.toString('utf8', 0, length).split(/\r?\n/);
    if (line === '') throw failed('holds nothing in its first line', 'Write the passphrase there.');
    return line;
  } finally {
    await file.close();
  }
}

function openTerminal(): ReadStream | undefined {
  try {
    return new ReadStream(openSync('/dev/tty', 'r+'));
  } catch {
    return undefined;
  }
}

/** Asks on the terminal, where standard input may be something else; what is typed is not shown. */
function ask(terminal: ReadStream, question: string): Promise<string> {
  terminal.setRawMode(true);
  terminal.setEncoding('utf8');
  process.stderr.write(question);
  return new Promise((resolve, reject) => {
    let typed = '';
    const done = (end: () => void) => {
      terminal.off('data', onData);
      terminal.setRawMode(false);
      terminal.pause();
      process.stderr.write('\n');
      end();
    };
    const onData = (data: string | Buffer) => {
      for (const key of String(data)) {
        if (key === '\r' || key === '\n') return done(() => resolve(typed));
        if (key === '\u0003' || key === '\u0004') return done(() => reject(new Interrupted()));
        if (key === '\u007f' || key === '\b') typed = [...typed].slice(0, -1).join('');
        else if (key === '\u0015') typed = '';
        else if (key >= ' ' && typed.length < MAX_BYTES) typed += key;
      }
    };
    terminal.on('data', onData);
    terminal.resume();
  });
}
