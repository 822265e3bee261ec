// A PostgreSQL of a test's own, on a socket in a folder.
import { execFile, execFileSync } from 'node:child_process';
import { appendFileSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { until } from '../support/until.ts';
import { Program } from './programs.ts';

const run = promisify(execFile);
const INSTALLED = '/usr/lib/postgresql';

function binaries(): string {
  const versions = existsSync(INSTALLED) ? readdirSync(INSTALLED).map(Number) : [];
  const newest = Math.max(0, ...versions.filter((version) => version >= 15));
  if (newest === 0) throw new Error('no PostgreSQL 15 or later is installed');
  return join(INSTALLED, String(newest), 'bin');
}

/** It refuses to run as root. */
function serverUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string) =>
    Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

export class Postgres {
  private constructor(
    readonly program: Program,
    private readonly folder: string,
  ) {}

  static async start(databases: readonly string[]): Promise<Postgres> {
    const folder = mkdtempSync(join(tmpdir(), 'handrail-pg-'));
    const [data, user, bin] = [join(folder, 'data'), serverUser(), binaries()];
    mkdirSync(data);
    if (user !== undefined) for (const one of [folder, data]) chownSync(one, user.uid, user.gid);
    const manner = ['-U', 'handrail', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync'];
    execFileSync(join(bin, 'initdb'), ['-D', data, ...manner], { stdio: 'ignore', ...user });
    const settings = [
      "listen_addresses = ''",
      `unix_socket_directories = '${folder}'`,
      'max_connections = 300',
      'logging_collector = off',
      'log_min_messages = warning',
    ];
    appendFileSync(join(data, 'postgresql.conf'), `\n${settings.join('\n')}\n`);
    const command = [join(bin, 'postgres'), '-D', data];
    const log = join(folder, 'server.log');
    const program = new Program({ name: 'postgres', command, log, ...(user && { user }) });
    const postgres = new Postgres(program, folder);
    program.start();
    for (const name of databases) await postgres.create(name);
    return postgres;
  }

  url(database: string): string {
    return `postgres:///${database}?user=handrail&host=${this.folder}`;
  }

  /** The rows of a query, each its columns. */
  async query(database: string, sql: string): Promise<string[][]> {
    const where = ['-h', this.folder, '-U', 'handrail', '-d', database];
    const how = ['-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', '-c', sql];
    const { stdout } = await run('psql', [...where, ...how], { maxBuffer: 1 << 30 });
    const lines = stdout.split('\n').filter((line) => line !== '');
    return lines.map((line) => line.split('|'));
  }

  /** Waits until it answers, as after a kill. */
  async ready(): Promise<void> {
    await until('PostgreSQL to answer', 120, () =>
      this.query('postgres', 'SELECT 1').catch(() => undefined),
    );
  }

  async stop(): Promise<void> {
    await this.program.stop('SIGQUIT');
    rmSync(this.folder, { recursive: true, force: true });
  }

  private async create(name: string): Promise<void> {
    await this.ready();
    await this.query('postgres', `CREATE DATABASE ${name} STRATEGY wal_log`);
  }
}
