// How a file goes there or comes here, however often the connection fails meanwhile.
import type { TransferOptions } from '../attachments/attachments.ts';
import { PLAIN_CHUNK_BYTES } from '../attachments/chunks.ts';
import { ConversationError } from '../conversations/events.ts';
import { HandrailError } from '../transport/errors.ts';
import { patiently } from './chat.ts';
import type { Setting } from './chat.ts';
import { EXIT, Fault, faultOf, mayPass } from './faults.ts';
import { sizeWord } from './file_words.ts';
import { plainText } from './output.ts';

/** What is told of is a tenth of the file or more. */
const STEPS = 10;
const NAME_LENGTH = 40;

/** What goes which way. */
export interface Going {
  readonly way: 'upload' | 'download';
  readonly name: string;
  readonly size: number;
}

/** Tells of a file that is on its way. */
class Progress {
  private told = -1;

  constructor(
    private readonly setting: Setting,
    private readonly going: Going,
  ) {}

  at(done: number, count: number): void {
    const { way, name, size } = this.going;
    const step = done === count ? STEPS : Math.floor((done / count) * STEPS);
    const bytes = Math.min(size, done * PLAIN_CHUNK_BYTES);
    const { output } = this.setting;
    if (output.json && step === this.told) return;
    this.told = step;
    const label = [...plainText(name)].slice(0, NAME_LENGTH).join('');
    const words = `${label}: ${Math.floor((100 * done) / count)} % of ${sizeWord(size)}`;
    output.progress({ event: 'progress', way, name, bytes, size }, words);
  }
}

/**
 * Repeats a transfer, which goes on where it stopped, as long as it gets on; then for as long as
 * the person wants to wait. Errors: those of the transfer.
 */
export async function persistently<T>(
  setting: Setting,
  going: Going,
  transfer: (options: TransferOptions) => Promise<T>,
): Promise<T> {
  const progress = new Progress(setting, going);
  for (;;) {
    let first: number | undefined;
    let last = 0;
    const onProgress = (done: number, count: number) => {
      first ??= done;
      last = done;
      progress.at(done, count);
    };
    const options = { signal: setting.signal, onProgress };
    try {
      return await patiently(setting, () => transfer(options).catch(asWaiting));
    } catch (error) {
      if (!mayPass(error) || first === undefined || last === first) throw error;
    }
  }
}

/** What a message would wait out is waited out for a file, and what takes days is not. */
function asWaiting(error: unknown): never {
  const reason = error instanceof HandrailError ? error.reason : '';
  if (reason === 'DEVICE_NOT_IN_GROUP') {
    throw new ConversationError('not-in-group', 'not in the group', { cause: error });
  }
  if (reason === 'ATTACHMENTS_FULL') throw faultOf(error);
  throw error;
}

/** The same fault; for one that may pass, with how to go on then. */
export function laterFault(fault: Fault, todo: string): Fault {
  if (fault.exit !== EXIT.later) return fault;
  const hint =
    fault.reason === 'NOT_IN_GROUP'
      ? 'Any other device in it does that by itself once it is open: handrail-chat talk. '
      : '';
  return new Fault(fault.exit, fault.message, hint + todo, fault.reason);
}
