/** Where a person or a script reads. process.stdout and process.stderr are such. */
export interface Sink {
  write(text: string): unknown;
  /** A person looks at it while it is written. */
  readonly isTTY?: boolean;
}

/** One thing that happened, for scripts: `event` says what, help.ts lists them. */
export type Event = { readonly event: string } & Readonly<Record<string, unknown>>;

/** To the beginning of the row, and nothing in it. */
const CLEAR_ROW = '\r\u001b[K';

/**
 * What the command says: sentences for people, or one JSON object a line for scripts, never both.
 * Results and what others said go to the first sink; what is said in passing goes to the second
 * for people. For scripts everything is on the first.
 */
export class Output {
  /** Set while somebody types on the same screen: it makes room, writes, and puts the line back. */
  around: ((write: () => void) => void) | undefined;

  private progressing = false;

  constructor(
    readonly json: boolean,
    private readonly out: Sink,
    private readonly aside: Sink,
  ) {}

  tell(event: Event, words: string): void {
    this.write(this.out, event, words);
  }

  note(event: Event, words: string): void {
    this.write(this.aside, event, words);
  }

  /**
   * How far something is. For somebody at a terminal a line, short enough for one row, in the place
   * of the one before; it goes with the next thing that is said. None while somebody types.
   */
  progress(event: Event, words: string): void {
    if (this.json) return this.write(this.aside, event, '');
    if (this.aside.isTTY !== true || this.around !== undefined) return;
    this.aside.write(`${CLEAR_ROW}${words}`);
    this.progressing = true;
  }

  private write(sink: Sink, event: Event, words: string): void {
    if (this.json) {
      this.out.write(`${toJsonLine(event)}\n`);
      return;
    }
    if (this.progressing) this.aside.write(CLEAR_ROW);
    this.progressing = false;
    if (words === '') return;
    const say = () => void sink.write(`${words}\n`);
    if (this.around === undefined) say();
    else this.around(say);
  }
}

/** JSON in one line, with nothing in it that a terminal could take for more than text. */
export function toJsonLine(event: Event): string {
  const plain = (_: string, value: unknown) =>
    typeof value === 'bigint' ? Number(value) : value;
  return JSON.stringify(event, plain).replace(
    /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/**
 * What somebody else wrote, safe for a terminal: nothing in it moves the cursor, changes colours or
 * turns the direction of what stands beside it. Further lines are indented, so that none of them
 * looks as if this program or another person had said it.
 */
export function plainText(text: string): string {
  return text
    .replace(/\r\n?/g, '\n')
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '\ufffd')
    .replace(/[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\ufffd')
    .replace(/[\u2028\u2029]/g, '\n')
    .replaceAll('\n', '\n        ');
}
