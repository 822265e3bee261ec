#!/usr/bin/env node
// `handrail-chat`: what the command line says is done here. See help.ts.
import { parseCommandLine } from './command_line.ts';
import type { Environment, Verb } from './command_line.ts';
import type { Setting } from './chat.ts';
import { addDevice, join, listDevices, makeNew, removeDevice, whoAmI } from './device_commands.ts';
import { EXIT, faultOf } from './faults.ts';
import type { ExitCode } from './faults.ts';
import { acceptInvitation, beginGroup, invite } from './group_commands.ts';
import { HELP, HELP_ABOUT } from './help.ts';
import { leave } from './leave.ts';
import { Output } from './output.ts';
import { exportConversation, listConversations, read, verify } from './read.ts';
import { report } from './report.ts';
import { save } from './save.ts';
import { send } from './send.ts';
import { talk } from './talk.ts';

const COMMANDS: Readonly<Record<Verb, (setting: Setting) => Promise<void>>> = {
  new: makeNew,
  join,
  whoami: whoAmI,
  devices: listDevices,
  'add-device': addDevice,
  'remove-device': removeDevice,
  conversations: listConversations,
  group: beginGroup,
  invite,
  accept: (setting) => acceptInvitation(setting, process.stdin),
  talk: (setting) => talk(setting, process.stdin),
  send: (setting) => send(setting, process.stdin),
  read,
  save,
  verify,
  leave,
  report: (setting) => report(setting, process.stdin),
  export: exportConversation,
};

/** The variables that are ours; a passphrase is not left where others could find it. */
function takeEnvironment(): Environment {
  const environment = { ...process.env };
  delete process.env['HANDRAIL_PASSPHRASE'];
  return environment;
}

async function run(args: readonly string[], signal: AbortSignal): Promise<ExitCode> {
  let output = new Output(args.includes('--json'), process.stdout, process.stderr);
  try {
    const environment = takeEnvironment();
    const line = parseCommandLine(args, environment);
    if (line.verb === 'help') {
      const about = 'about' in line ? line.about : undefined;
      process.stdout.write(`${about === undefined ? HELP : HELP_ABOUT[about]}\n`);
      return EXIT.done;
    }
    output = new Output(line.json, process.stdout, process.stderr);
    await COMMANDS[line.verb]({ line, output, environment, signal });
    return EXIT.done;
  } catch (error) {
    const { message, todo, reason, exit } = faultOf(error);
    const words = `handrail-chat: ${message}${todo === '' ? '' : `\n  ${todo}`}`;
    output.note({ event: 'error', reason, message, todo, exit }, words);
    return exit;
  }
}

/** Ends politely at the first signal, at once at the second: the disk is whole either way. */
function stopSignal(): AbortSignal {
  const stopping = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (stopping.signal.aborted) process.exit(EXIT.interrupted);
      stopping.abort();
    });
  }
  return stopping.signal;
}

// Whoever read this has gone; there is nobody to tell.
process.stdout.on('error', () => process.exit(EXIT.failed));
process.stderr.on('error', () => {});
process.exit(await run(process.argv.slice(2), stopSignal()));
