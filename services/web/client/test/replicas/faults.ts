// What befalls a deployment in a fault run.
import { MessagingService } from '../../src/api.ts';
import type { FaultProxy } from '../support/fault_proxy.ts';
import { insist } from '../support/until.ts';
import type { Client } from './clients.ts';
import type { Deployment } from './deployment.ts';

export interface Outcome {
  readonly kind: string;
  /** From the fault until every replica had given an answer that needs its stores. */
  readonly recoveryMs: number;
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

interface Fault {
  readonly weight: number;
  readonly befall: () => Promise<string> | string;
}

/**
 * Does one thing after the other, each kind once and then by chance, and waits after each until
 * every replica answers again.
 */
export class Faults {
  private readonly table: readonly Fault[] = [
    { weight: 26, befall: () => this.killReplica() },
    { weight: 3, befall: () => this.killEveryReplica() },
    { weight: 8, befall: () => this.freezeReplica() },
    { weight: 7, befall: () => this.killPostgres() },
    { weight: 7, befall: () => this.killRedis() },
    { weight: 9, befall: () => this.flush() },
    { weight: 12, befall: () => this.cut() },
    { weight: 12, befall: () => this.keepReplies() },
    { weight: 8, befall: () => this.stall() },
    { weight: 8, befall: () => this.leaveHalfOpen() },
  ];
  private readonly unseen = [...this.table];

  constructor(
    private readonly deployment: Deployment,
    /** Between the clients and the replicas. */
    private readonly proxy: FaultProxy,
    /** Somebody with a connection of their own to each replica. */
    private readonly observers: readonly Client[],
    private readonly random: () => number,
  ) {}

  /** How many kinds there are. */
  get kinds(): number {
    return this.table.length;
  }

  /** Fails when a replica does not answer for two minutes. */
  async next(): Promise<Outcome> {
    const since = Date.now();
    const kind = await this.draw();
    await Promise.all(this.observers.map((observer) => this.answers(observer)));
    return { kind, recoveryMs: Date.now() - since };
  }

  private draw(): Promise<string> | string {
    const first = this.unseen.splice(Math.floor(this.random() * this.unseen.length), 1)[0];
    if (first !== undefined) return first.befall();
    const total = this.table.reduce((sum, { weight }) => sum + weight, 0);
    let roll = this.random() * total;
    return this.table.find(({ weight }) => (roll -= weight) < 0)?.befall() ?? this.flush();
  }

  private killReplica(): string {
    this.someReplica().program.signal('SIGKILL');
    return 'kill -9 a replica';
  }

  private killEveryReplica(): string {
    for (const { program } of this.deployment.replicas) program.signal('SIGKILL');
    return 'kill -9 every replica';
  }

  private async freezeReplica(): Promise<string> {
    const { program } = this.someReplica();
    program.signal('SIGSTOP');
    await this.aWhile();
    program.signal('SIGCONT');
    return 'SIGSTOP, SIGCONT a replica';
  }

  private async killPostgres(): Promise<string> {
    this.deployment.postgres.program.signal('SIGKILL');
    await this.deployment.postgres.ready();
    return 'kill -9 PostgreSQL';
  }

  private killRedis(): string {
    this.deployment.redis.signal('SIGKILL');
    return 'kill -9 Redis';
  }

  private async flush(): Promise<string> {
    await this.deployment.flushRedis();
    return 'FLUSHALL';
  }

  private cut(): string {
    this.proxy.cut(this.about(0.5));
    return 'connections cut';
  }

  private async keepReplies(): Promise<string> {
    this.proxy.keepReplies(this.about(0.5));
    await this.aWhile();
    this.proxy.cut(this.about(0.7));
    return 'requests forwarded, replies kept, connections cut';
  }

  private async stall(): Promise<string> {
    this.proxy.stall(this.about(0.5));
    await this.aWhile();
    this.proxy.resume();
    return 'connections stalled for a while';
  }

  /** The clients give them up; the replicas are left with them, until a later one of these. */
  private leaveHalfOpen(): string {
    this.proxy.cutStalled();
    this.proxy.stall(this.about(0.3));
    return 'connections left half-open';
  }

  private someReplica() {
    const { replicas } = this.deployment;
    return replicas[Math.floor(this.random() * replicas.length)]!;
  }

  private about(share: number): () => boolean {
    return () => this.random() < share;
  }

  private aWhile(): Promise<unknown> {
    return sleep(100 + this.random() * 1_500);
  }

  private async answers({ session }: Client): Promise<void> {
    const timeoutMs = 2_000;
    await insist('a replica to answer', () =>
      session.unary(MessagingService.method.listConversations, {}, { timeoutMs }).catch((error) => {
        session.reconnect();
        throw error;
      }),
    );
  }
}
