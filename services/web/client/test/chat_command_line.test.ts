import { describe, expect, test } from 'vitest';

import { fromCode, toCode } from '../src/chat/code.ts';
import { parseCommandLine, serverAddress } from '../src/chat/command_line.ts';
import type { CommandLine } from '../src/chat/command_line.ts';
import { EXIT, Fault } from '../src/chat/faults.ts';
import { HELP, HELP_ABOUT } from '../src/chat/help.ts';
import { lineId } from '../src/chat/send.ts';

function parsed(args: readonly string[], environment = {}): CommandLine {
  const line = parseCommandLine(args, environment);
  if (line.verb === 'help') throw new Error('that was help');
  return line as CommandLine;
}

function refused(args: readonly string[]): string {
  try {
    parseCommandLine(args, {});
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    expect(error.exit).toBe(EXIT.usage);
    return `${error.message} ${error.todo}`;
  }
  throw new Error(`it was taken: ${args.join(' ')}`);
}

describe('a command line', () => {
  test('says what to do, to what, and how', () => {
    const line = parsed(['talk', 'abcd', '--state', '/s', '--json', '--check=5', '--wait', '7']);
    expect(line).toMatchObject({
      verb: 'talk',
      what: 'abcd',
      state: '/s',
      json: true,
      checkMs: 5000,
      waitMs: 7000,
    });
    expect(parsed(['--state', '/s', 'read', '-f'])).toMatchObject({ verb: 'read', follow: true });
  });

  test('names files to send, and the file to save', () => {
    const { files } = parsed(['send', 'abcd', '--file', 'a b.jpg', '--file=-c']);
    expect(files).toEqual(['a b.jpg', '-c']);
    expect(parsed(['send']).files).toEqual([]);
    const eight = Array.from({ length: 8 }, () => '--file=a');
    expect(parsed(['send', ...eight]).files).toHaveLength(8);
    expect(refused(['send', ...eight, '--file=a'])).toContain('At most 8 files');
    expect(refused(['send', '--lines', '--file=a'])).toContain('not both');
    expect(refused(['talk', '--file=a'])).toContain('has no option --file');
    const save = parsed(['save', 'abcd', '5e6f', '--to=/t', '--force']);
    expect(save).toMatchObject({ what: 'abcd', file: '5e6f', to: '/t', force: true });
    expect(parsed(['save', 'a b.jpg'])).toMatchObject({ what: undefined, file: 'a b.jpg' });
    expect(refused(['save'])).toContain('needs one more word');
    expect(refused(['save', 'a', 'b', 'c'])).toContain('takes two words');
  });

  test('names what to leave, and says that it is meant', () => {
    expect(parsed(['leave'])).toMatchObject({ what: undefined, yes: false });
    expect(parsed(['leave', 'abcd', '--yes'])).toMatchObject({ what: 'abcd', yes: true });
    expect(refused(['leave', 'a', 'b'])).toContain('takes one word');
    expect(refused(['talk', '--yes'])).toContain('has no option --yes');
  });

  test('names messages to report, and what for', () => {
    const line = parsed(['report', 'abcd', '--message=3', '--message=12', '--reason=stalking']);
    expect(line).toMatchObject({ what: 'abcd', messages: [3n, 12n], reason: 'stalking' });
    expect(parsed(['report'])).toMatchObject({ messages: [], reason: undefined, note: false });
    for (const none of ['xyz', '0', '-1', '1.5', '0a1b', '']) {
      expect(refused(['report', `--message=${none}`])).toContain('the number of a message');
    }
    expect(refused(['report', '--reason=toString'])).toContain('self-harm-concern');
    expect(refused(['read', '--reason=other'])).toContain('has no option --reason');
  });

  test('is completed from the environment, and stands above it', () => {
    const environment = {
      HANDRAIL_CHAT_STATE: '/e',
      HANDRAIL_DATA: '/d',
      HANDRAIL_PASSPHRASE_FILE: '/p',
    };
    expect(parsed(['read'], environment)).toMatchObject({
      state: '/e',
      place: { data: '/d' },
      passphraseFile: '/p',
    });
    const said = ['read', '--state=/s', '--server=h.example', '--passphrase-file=/q'];
    expect(parsed(said, environment)).toMatchObject({
      state: '/s',
      place: { server: 'https://h.example' },
      passphraseFile: '/q',
    });
    expect(parsed(['read'], { XDG_STATE_HOME: '/x' }).state).toBe('/x/handrail-chat');
  });

  test('that makes no sense is refused in words that help', () => {
    expect(refused([])).toContain('--help');
    expect(refused(['sing'])).toContain('There are: new, join');
    expect(refused(['read', '--loud'])).toContain("'--loud'");
    expect(refused(['read', '--state'])).toContain('--state');
    expect(refused(['read', '--lines'])).toContain('"read" has no option --lines');
    expect(refused(['read', 'a', 'b'])).toContain('takes one word');
    expect(refused(['whoami', 'a'])).toContain('takes no word');
    expect(refused(['devices', 'a', 'b'])).toContain('takes one word');
    expect(refused(['add-device'])).toContain('needs one more word');
    expect(refused(['read', '--wait', 'soon'])).toContain('whole seconds');
    expect(refused(['talk', '--check=0'])).toContain('1 to 3600');
    expect(refused(['read', '--data=/d', '--server=h'])).toContain('not both');
    expect(refused(['send', '--id', 'mine'])).toContain('32 hexadecimal digits');
  });

  test('never takes a passphrase or a message, and does not repeat what was given', () => {
    const passphrase = refused(['read', '--passphrase=hunter2hunter2']);
    expect(passphrase).toContain('never given as an argument');
    const message = refused(['send', 'abcd', 'nobody should see this']);
    expect(message).toContain('standard input');
    const invitation = refused(['accept', 'handrailinvitation1.abcd']);
    expect(invitation).toContain('standard input');
    for (const words of [passphrase, message, invitation]) {
      expect(words).not.toMatch(/hunter2|nobody should|invitation1/);
    }
  });

  test('asks for help in several ways', () => {
    for (const args of [['--help'], ['-h'], ['help']]) {
      expect(parseCommandLine(args, {})).toEqual({ verb: 'help', about: undefined });
    }
    for (const args of [['help', 'send'], ['send', '--help']]) {
      expect(parseCommandLine(args, {})).toEqual({ verb: 'help', about: 'send' });
    }
  });
});

describe('help', () => {
  test('fits on a terminal, names every command and every exit status', () => {
    for (const text of [HELP, ...Object.values(HELP_ABOUT)]) {
      for (const line of text.split('\n')) expect([...line].length, line).toBeLessThanOrEqual(100);
    }
    for (const verb of Object.keys(HELP_ABOUT)) expect(HELP).toContain(`handrail-chat ${verb}`);
    for (const code of Object.values(EXIT)) expect(HELP).toMatch(new RegExp(`(^|\\s)${code}\\s`));
  });
});

describe('an address of a server', () => {
  test('is with TLS, but on this machine', () => {
    expect(serverAddress('h.example')).toBe('https://h.example');
    expect(serverAddress('https://h.example:8443/')).toBe('https://h.example:8443');
    expect(serverAddress('http://127.0.0.1:7000')).toBe('http://127.0.0.1:7000');
    expect(serverAddress('http://[::1]:7000')).toBe('http://[::1]:7000');
    expect(refused(['read', '--server=http://h.example'])).toContain('TLS');
  });

  test('is nothing else', () => {
    for (const bad of ['ftp://h', 'https://h/path', 'https://u:p@h', 'https://h?x=1', 'a b', '']) {
      expect(refused(['read', `--server=${bad}`]), bad).toContain('address');
    }
  });
});

describe('the code of a device', () => {
  const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 7) % 256);
  const proof = { publicKey: bytes(32), challenge: bytes(32), signature: bytes(64) };

  test('reads back', () => {
    const code = toCode(proof);
    expect(code).toMatch(/^handrail1\.[A-Za-z0-9_-]{171}$/);
    expect(fromCode(`  ${code}\n`)).toEqual(proof);
  });

  test('is refused when anything is missing, added or changed in form', () => {
    const code = toCode(proof);
    const bad = ['', 'handrail1.', code.slice(0, -1), `${code}A`, code.slice(10), `${code}=`];
    for (const one of [...bad, code.replace('handrail1', 'handrail2'), `-${code}`]) {
      expect(() => fromCode(one), one).toThrow('no code of a device');
    }
  });
});

test('the lines of one id have ids of their own, the same each time', () => {
  const id = '0123456789abcdef0123456789abcdef';
  const ids = [1, 2, 3].map((number) => lineId(id, number));
  expect(new Set(ids).size).toBe(3);
  for (const one of ids) expect(one).toMatch(/^[0-9a-f]{32}$/);
  expect(lineId(id, 2)).toBe(ids[1]);
});
