import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

/** A connection: the client's socket and the service's. */
type Pair = readonly [client: Socket, service: Socket];

const all = () => true;

/**
 * Passes bytes to a service, or to several in turn, until it is told to cut, to stall or to keep
 * the replies. What it is told is about the connections of that moment; `which` says about which.
 */
export class FaultProxy {
  private readonly pairs = new Set<Pair>();
  private readonly stalledPairs = new Set<Pair>();
  /** Connections taken so far. */
  accepted = 0;
  /** Stalls by itself when so many bytes have passed, both ways together. */
  stallAfterBytes = Infinity;
  private passed = 0;

  private constructor(
    private readonly server: Server,
    private readonly targets: readonly string[],
    /** `127.0.0.1:port`. */
    readonly endpoint: string,
  ) {}

  /** With several targets each connection goes to the next one that is there. */
  static async to(...targets: readonly string[]): Promise<FaultProxy> {
    const server = createServer();
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const address = server.address() as AddressInfo;
    const proxy = new FaultProxy(server, targets, `127.0.0.1:${address.port}`);
    server.on('connection', (from) => proxy.take(from));
    return proxy;
  }

  /** Connections that pass bytes now, or stand still. */
  get open(): number {
    return this.pairs.size;
  }

  /** Ends connections in the middle of what they were doing. */
  cut(which: () => boolean = all): void {
    for (const pair of this.pairs) if (which()) end(pair);
  }

  get stalled(): boolean {
    return this.passed >= this.stallAfterBytes;
  }

  /** They say nothing more and take nothing more, either way, and look alive. */
  stall(which: () => boolean = all): void {
    for (const pair of this.pairs) {
      if (!which()) continue;
      this.stalledPairs.add(pair);
      for (const socket of pair) {
        socket.unpipe();
        socket.pause();
      }
    }
  }

  /** What stood still goes on where it was. */
  resume(): void {
    for (const [client, service] of this.stalledPairs) {
      client.pipe(service);
      service.pipe(client);
    }
    this.stalledPairs.clear();
  }

  /** Ends what stands still. */
  cutStalled(): void {
    for (const pair of this.stalledPairs) end(pair);
  }

  /** What the clients say still arrives, and nothing of what they are told. */
  keepReplies(which: () => boolean = all): void {
    for (const [client, service] of this.pairs) {
      if (!which()) continue;
      service.unpipe(client);
      service.resume();
    }
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.cut();
    await closed;
  }

  private take(client: Socket): void {
    const first = this.accepted;
    this.accepted += 1;
    client.on('error', () => {});
    const dial = (attempt: number) => {
      const target = this.targets[(first + attempt) % this.targets.length];
      if (target === undefined || attempt >= this.targets.length || client.destroyed) {
        client.destroy();
        return;
      }
      const [host = '', port = ''] = target.split(':');
      const service = connect(Number(port), host);
      const next = () => dial(attempt + 1);
      service.once('error', next);
      service.once('connect', () => {
        service.off('error', next);
        this.pass([client, service]);
      });
    };
    dial(0);
  }

  private pass(pair: Pair): void {
    const [client, service] = pair;
    if (client.destroyed) service.destroy();
    this.pairs.add(pair);
    for (const [one, other] of [
      [client, service],
      [service, client],
    ] as const) {
      one.pipe(other);
      one.on('data', (bytes: Buffer) => {
        this.passed += bytes.length;
        if (this.stalled) this.stall();
      });
      one.on('error', () => {});
      one.on('close', () => {
        this.pairs.delete(pair);
        this.stalledPairs.delete(pair);
        other.destroy();
      });
    }
  }
}

function end([client, service]: Pair): void {
  client.destroy();
  service.destroy();
}
