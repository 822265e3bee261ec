// Several replicas of messaging on one PostgreSQL and one Redis, with profiles beside them.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import type { Endpoints } from '../../src/node.ts';
import { insist, until } from '../support/until.ts';
import { Postgres } from './postgres.ts';
import { Program } from './programs.ts';
import { openConversation } from './sync.ts';

interface Service {
  readonly program: Program;
  /** `127.0.0.1:port`. */
  readonly address: string;
  readonly admin: string;
}

/** One process of messaging. */
export interface Replica extends Service {
  /** Of its internal listener. */
  readonly socket: string;
}

function binary(name: string): string {
  const usual = join(import.meta.dirname, '../../../../../build/gcc/bin');
  const path = resolve(process.env['HANDRAIL_BIN_DIR'] ?? usual, name);
  if (existsSync(path)) return path;
  throw new Error(`${path} is not there: build the services, or set HANDRAIL_BIN_DIR`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', () => done(false));
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
  });
}

/** So many addresses that are free now, below the range from which the kernel gives out its own. */
async function freeAddresses(count: number): Promise<string[]> {
  const addresses: string[] = [];
  const first = 29_000 + Math.floor(Math.random() * 2_000);
  for (let port = first; addresses.length < count; ++port) {
    if (await isFree(port)) addresses.push(`127.0.0.1:${port}`);
  }
  return addresses;
}

async function isReady({ program, admin }: Service): Promise<void> {
  const asked = () =>
    fetch(`http://${admin}/readyz`)
      .then(({ ok }) => ok)
      .catch(() => false);
  await until(`${program.name} to be ready`, 120, asked).catch((error: unknown) => {
    throw new Error(program.lastWords(), { cause: error });
  });
}

export class Deployment {
  readonly replicas: Replica[] = [];
  readonly redis: Program;
  private readonly profiles: Service;
  /** Nobody is matched here: it runs for a check alone, whose ledger it makes. */
  private readonly matching: Service;

  private constructor(
    private readonly folder: string,
    readonly postgres: Postgres,
    addresses: readonly string[],
    count: number,
  ) {
    this.redis = this.program('redis', ['redis-server', ...this.redisFlags()]);
    const at = (i: number) => {
      return { address: addresses[2 * i] ?? '', admin: addresses[2 * i + 1] ?? '' };
    };
    const messaging = this.internal('messaging', 'messaging_1');
    const matching = this.internal('matching');
    this.profiles = this.service('profiles', 'profiles', at(0), [...messaging, ...matching]);
    const profiles = [
      ...['--profiles_address', this.profiles.address],
      ...this.internal('profiles'),
    ];
    this.matching = this.service('matching', 'matching', at(1), [...profiles, ...messaging]);
    for (let i = 1; i <= count; ++i) {
      const name = `messaging_${i}`;
      const service = this.service('messaging', name, at(i + 1), [...profiles, ...matching]);
      this.replicas.push({ ...service, socket: this.socket(name) });
    }
  }

  static async start(replicas: number): Promise<Deployment> {
    for (const name of ['profiles', 'matching', 'messaging']) binary(`handrail_${name}`);
    const folder = mkdtempSync(join(tmpdir(), 'handrail-replicas-'));
    for (const name of ['run', 'log', 'keys']) mkdirSync(join(folder, name), { mode: 0o700 });
    const postgres = await Postgres.start(['profiles', 'matching', 'messaging']);
    const addresses = await freeAddresses(4 + 2 * replicas);
    const deployment = new Deployment(folder, postgres, addresses, replicas);
    try {
      deployment.redis.start();
      deployment.profiles.program.start();
      for (const { program } of deployment.replicas) program.start();
      await deployment.ready();
    } catch (error) {
      await deployment.stop();
      throw error;
    }
    return deployment;
  }

  /** For clients that reach messaging at this address. */
  endpoints(messaging: string): Endpoints {
    return { profiles: this.profiles.address, matching: this.matching.address, messaging };
  }

  /** Waits until everything says that it can do its work. */
  async ready(): Promise<void> {
    await this.postgres.ready();
    for (const service of [...this.replicas, this.profiles]) await isReady(service);
  }

  /** What the ledgers break of what must always hold, as `handrail check` says it. */
  async violations(): Promise<string> {
    const { program } = this.matching;
    if (program.starts === 0) program.start();
    await isReady(this.matching);
    const ledgers = ['matching', 'messaging'].flatMap((service) => {
      return [`--${service}_database_url`, this.postgres.url(service)];
    });
    const { status, stdout, stderr } = spawnSync(binary('handrail'), ['check', ...ledgers], {
      encoding: 'utf8',
    });
    return status === 0 ? '' : `${stdout}${stderr}`;
  }

  /** A conversation of these two. */
  async open(members: readonly [string, string]): Promise<string> {
    const [{ socket } = { socket: '' }] = this.replicas;
    return insist('the conversation', () => openConversation(socket, members));
  }

  /** What a replica shows under this name; undefined while it does not answer. */
  async metric({ admin }: Replica, series: string): Promise<number | undefined> {
    const text = await fetch(`http://${admin}/metrics`)
      .then((answer) => answer.text())
      .catch(() => '');
    const line = text.split('\n').find((one) => one.startsWith(`${series} `));
    return line === undefined ? undefined : Number(line.slice(series.length + 1));
  }

  async flushRedis(): Promise<void> {
    await until('Redis to be emptied', 60, () => {
      try {
        const socket = join(this.folder, 'run', 'redis.sock');
        return execFileSync('redis-cli', ['-s', socket, 'FLUSHALL'], { stdio: 'pipe' });
      } catch {
        return undefined;
      }
    });
  }

  async stop(): Promise<void> {
    const services = [...this.replicas, this.matching, this.profiles];
    await Promise.all(services.map(({ program }) => program.stop('SIGTERM')));
    await this.redis.stop('SIGTERM');
    await this.postgres.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private socket(name: string): string {
    return join(this.folder, 'run', `${name}.sock`);
  }

  private program(name: string, command: readonly string[]): Program {
    return new Program({ name, command, log: join(this.folder, 'log', `${name}.log`) });
  }

  /** Where another service finds the internal listener of one. */
  private internal(service: string, name = service): string[] {
    return [`--${service}_internal_address`, `unix:${this.socket(name)}`];
  }

  private service(
    service: string,
    name: string,
    { address, admin }: Omit<Service, 'program'>,
    more: readonly string[],
  ): Service {
    const folder = ['--data_folder', this.folder];
    const listening = ['--public_address', address, '--admin_address', admin];
    const internal = ['--internal_address', `unix:${this.socket(name)}`];
    const database = ['--database_url', this.postgres.url(service)];
    const redis = ['--redis_url', `unix://${this.socket('redis')}`];
    const limits = ['--rate_limit_scale', '0', '--drain_serve_on', '0s'];
    const flags = [folder, listening, internal, database, redis, limits].flat();
    const program = this.program(name, [binary(`handrail_${service}`), ...flags, ...more]);
    return { program, address, admin };
  }

  private redisFlags(): string[] {
    const socket = ['--port', '0', '--unixsocket', this.socket('redis'), '--unixsocketperm', '700'];
    const nothingKept = ['--save', '', '--appendonly', 'no', '--dir', join(this.folder, 'run')];
    return [...socket, ...nothingKept, '--daemonize', 'no'];
  }
}
