// Programs that a test starts, kills and stops.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';

export interface ProgramOptions {
  readonly name: string;
  readonly command: readonly string[];
  /** A file for all that it prints. */
  readonly log: string;
  /** Whose process it is; ours unless told. */
  readonly user?: { readonly uid: number; readonly gid: number };
}

/** How long a program has for its end before it is killed. */
const GRACE_MS = 20_000;
const RESTART_MS = 50;

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A program that is started again whenever it ends, until it is stopped. */
export class Program {
  private child: ChildProcess | undefined;
  private stopping = false;
  /** How often it was started. */
  starts = 0;

  constructor(private readonly options: ProgramOptions) {}

  get name(): string {
    return this.options.name;
  }

  start(): void {
    if (this.stopping) return;
    this.starts += 1;
    const { command, log, user } = this.options;
    const [program = '', ...rest] = command;
    const output = openSync(log, 'a');
    const child = spawn(program, rest, { stdio: ['ignore', output, output], cwd: '/', ...user });
    closeSync(output);
    running.add(child);
    this.child = child;
    const ended = () => {
      running.delete(child);
      if (this.child !== child) return;
      this.child = undefined;
      setTimeout(() => this.start(), RESTART_MS);
    };
    child.once('exit', ended);
    child.once('error', ended);
  }

  /** False when it did not run at this moment. */
  signal(signal: NodeJS.Signals): boolean {
    return this.child?.kill(signal) ?? false;
  }

  async stop(signal: NodeJS.Signals): Promise<void> {
    this.stopping = true;
    const child = this.child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGCONT');
    child.kill(signal);
    const impatience = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
    await ended;
    clearTimeout(impatience);
  }

  /** The end of what it printed, to say why it does not run. */
  lastWords(): string {
    return readFileSync(this.options.log, 'utf8').slice(-1500);
  }
}
