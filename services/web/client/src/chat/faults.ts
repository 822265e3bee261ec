import { AttachmentError } from '../attachments/attachments.ts';
import type { AttachmentFault } from '../attachments/attachments.ts';
import { MAX_FILE_BYTES } from '../attachments/chunks.ts';
import { SealError } from '../store/passphrase.ts';
import { StoreError } from '../store/store.ts';
import { ConversationError } from '../conversations/events.ts';
import { HandrailError } from '../transport/errors.ts';

/** What the command leaves behind for scripts. help.ts tells people the same. */
export const EXIT = {
  done: 0,
  /** Refused, or failed for good: the reason is printed. */
  failed: 1,
  usage: 2,
  /** Not now: the same command may do later, and what was to be said is kept. */
  later: 3,
  /** The state on this machine cannot be opened. */
  locked: 4,
  /** The server does not know this device, or no longer. */
  removed: 5,
  /** Another program receives as this device now. */
  replaced: 6,
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** An end that the person is told of: what happened, and what to do about it. */
export class Fault extends Error {
  constructor(
    readonly exit: ExitCode,
    message: string,
    readonly todo = '',
    /** For scripts, as in docs/errors.md where the server gave one. */
    readonly reason = '',
  ) {
    super(message);
    this.name = 'Fault';
  }
}

export class Interrupted extends Fault {
  constructor(message = 'Stopped.', todo = '') {
    super(EXIT.interrupted, message, todo, 'INTERRUPTED');
  }
}

export const usageFault = (message: string, todo = 'See: handrail-chat --help') =>
  new Fault(EXIT.usage, message, todo, 'USAGE');

type Words = readonly [exit: ExitCode, what: string, todo: string];

const REMOVED: Words = [
  EXIT.removed,
  'The server does not know this device, or no longer.',
  'If it was removed, what is on it stays readable: handrail-chat export. To come back, make ' +
    'another device in another folder: handrail-chat join --state FOLDER',
];

const BY_REASON: Readonly<Record<string, Words>> = {
  SIGNATURE_INVALID: REMOVED,
  DEVICE_REVOKED: REMOVED,
  CONVERSATION_CLOSED: [
    EXIT.failed,
    'This conversation is closed: nothing more can be said in it.',
    'What was said can still be read: handrail-chat read --all',
  ],
  NOT_FOUND: [
    EXIT.failed,
    'There is no such thing at the server, or it is not yours.',
    'See what there is: handrail-chat conversations, handrail-chat devices',
  ],
  CHALLENGE_INVALID: [
    EXIT.failed,
    'The code is older than a minute, or was used before.',
    'Take the newest code that the new device shows.',
  ],
  CONSTRAINT_VIOLATED: [
    EXIT.failed,
    'That device belongs to somebody already.',
    'Nothing, if it is yours: handrail-chat devices. Else make another device: handrail-chat join',
  ],
  RATE_LIMITED: [EXIT.later, 'Too many calls in a short time.', 'Wait a minute, then try again.'],
  QUEUE_FULL: [
    EXIT.later,
    'The server takes no more for now: too many messages wait to be read, there is no place for ' +
      'one more, or you have too many devices.',
    'Try again when the others have read, or a place is free; or remove a device that you no ' +
      'longer use.',
  ],
  DATABASE_FULL: [
    EXIT.later,
    'The disk of the server is full; nothing was changed.',
    'Whoever runs the server must act. Try again later.',
  ],
  ATTACHMENTS_FULL: [
    EXIT.later,
    'The server keeps as many files of yours, or of this conversation, as it takes.',
    'Files go after 30 days; then there is room again. Or send fewer and smaller ones.',
  ],
  MEMBER_SUSPENDED: [
    EXIT.failed,
    'You are paused while somebody looks into a report.',
    'Ask those who run this service about it.',
  ],
};

function ofServer(error: HandrailError): Fault {
  const { reason, code } = error;
  const known = BY_REASON[reason];
  if (known !== undefined) return new Fault(...known, reason);
  if (error.retryable) {
    const what = `The server cannot be reached, or cannot answer now (${error.message}).`;
    return new Fault(EXIT.later, what, 'Is it running? Try again in a moment.', reason || code);
  }
  const fields = error.fields.map(({ field, description }) => `${field}: ${description}`);
  const what = [error.message, ...fields].join('; ');
  return new Fault(EXIT.failed, `The server refused: ${what} [${reason || code}]`, '', reason);
}

function ofState(error: SealError | StoreError): Fault {
  const reason = error.fault.toUpperCase().replaceAll('-', '_');
  if (error.fault === 'wrong-passphrase') {
    const todo = 'Try again. Nobody can bring a forgotten passphrase back.';
    return new Fault(EXIT.locked, 'This is not the passphrase of this device.', todo, reason);
  }
  if (error.fault === 'weak-passphrase') {
    const todo = 'Four or five words that nobody would guess are good.';
    return new Fault(EXIT.usage, `Too short: ${error.message}.`, todo, reason);
  }
  const todo = 'Leave the folder as it is; a copy of it from a backup may help.';
  return new Fault(EXIT.locked, `This device cannot be opened: ${error.message}.`, todo, reason);
}

const BY_FAULT: Readonly<Record<ConversationError['fault'], readonly [string, string]>> = {
  'nobody-ready': [
    'Nobody else has a device yet that could read it.',
    'What you wrote is kept here. It goes out once they have one; run this again, or leave ' +
      '`handrail-chat talk` open.',
  ],
  'not-in-group': [
    'This device has not been let into the conversation yet.',
    'Any other device in it does that by itself once it is open: handrail-chat talk. What you ' +
      'wrote is kept here.',
  ],
  contended: ['Others changed the conversation each time.', 'Try again in a moment.'],
  'outbox-full': [
    'A hundred messages wait on this device already; this one was not kept.',
    'Wait until they are out, then say it again.',
  ],
};

const BY_FILE_FAULT: Readonly<Record<AttachmentFault, Words>> = {
  'too-large': [
    EXIT.usage,
    `The file is too large: ${MAX_FILE_BYTES.toLocaleString('en')} bytes (10 MB) at most.`,
    'Make it smaller, or send it in parts.',
  ],
  changed: [
    EXIT.failed,
    'The file was changed while it was sent; nothing was said.',
    'Run the same again when nobody writes to it any more.',
  ],
  gone: [
    EXIT.failed,
    'The server has thrown away what was uploaded of the file; nothing was said.',
    'Run the same again: the file is sent anew.',
  ],
  damaged: [
    EXIT.failed,
    'What the server has is not the file that was sent: it was damaged, or changed. Nothing was ' +
      'saved.',
    'Ask them to send it again.',
  ],
};

/** Any failure in words for people. */
export function faultOf(error: unknown): Fault {
  if (error instanceof Fault) return error;
  if (error instanceof HandrailError) return ofServer(error);
  if (error instanceof SealError || error instanceof StoreError) return ofState(error);
  if (error instanceof ConversationError) {
    const reason = error.fault.toUpperCase().replaceAll('-', '_');
    return new Fault(EXIT.later, ...BY_FAULT[error.fault], reason);
  }
  if (error instanceof AttachmentError) {
    const reason = error.fault.toUpperCase().replaceAll('-', '_');
    return new Fault(...BY_FILE_FAULT[error.fault], reason);
  }
  if (error instanceof RangeError) return new Fault(EXIT.usage, `Not possible: ${error.message}.`);
  const what = error instanceof Error ? error.message : String(error);
  return new Fault(EXIT.failed, `This is a fault of this program: ${what}`, 'Please report it.');
}

/** Whether what failed may well succeed a little later, with nobody doing anything about it. */
export function mayPass(error: unknown): boolean {
  if (error instanceof ConversationError) return true;
  if (error instanceof Fault) return error.reason === 'NO_SERVER';
  if (!(error instanceof HandrailError)) return false;
  return error.retryable || error.reason === 'CHALLENGE_INVALID';
}
