import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

/** Passes bytes to a service, until it is told to cut or to stall. */
export class FaultProxy {
  private readonly pairs = new Set<[Socket, Socket]>();
  /** Connections taken so far. */
  accepted = 0;
  /** Stalls by itself when so many bytes have passed, both ways together. */
  stallAfterBytes = Infinity;
  private passed = 0;

  private constructor(
    private readonly server: Server,
    /** `127.0.0.1:port`. */
    readonly endpoint: string,
  ) {}

  static async to(target: string): Promise<FaultProxy> {
    const [host = '', port = ''] = target.split(':');
    const server = createServer();
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const address = server.address() as AddressInfo;
    const proxy = new FaultProxy(server, `127.0.0.1:${address.port}`);
    server.on('connection', (from) => proxy.pass(from, connect(Number(port), host)));
    return proxy;
  }

  /** Ends every connection in the middle of what it was doing. */
  cut(): void {
    for (const pair of this.pairs) for (const socket of pair) socket.destroy();
  }

  get stalled(): boolean {
    return this.passed >= this.stallAfterBytes;
  }

  /** The connections of now say nothing more and take nothing more, and look alive. */
  stall(): void {
    for (const pair of this.pairs) {
      for (const socket of pair) {
        socket.unpipe();
        socket.pause();
      }
    }
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.cut();
    await closed;
  }

  private pass(from: Socket, to: Socket): void {
    this.accepted += 1;
    const pair: [Socket, Socket] = [from, to];
    this.pairs.add(pair);
    for (const [one, other] of [
      [from, to],
      [to, from],
    ] as const) {
      one.pipe(other);
      one.on('data', (bytes: Buffer) => {
        this.passed += bytes.length;
        if (this.stalled) this.stall();
      });
      one.on('error', () => {});
      one.on('close', () => {
        this.pairs.delete(pair);
        other.destroy();
      });
    }
  }
}
