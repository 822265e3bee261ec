import type {
  DescMessage,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';

import type { DeviceKey } from '../engine/engine.ts';
import { Session } from '../session/session.ts';
import type { SealedStore } from '../store/sealed_store.ts';
import type { CallOptions, Transport } from '../transport/transport.ts';

/**
 * A device that signs in when it is first needed, and again whenever that failed: so there can be
 * conversations, with all that is on disk, while the server is away, and commands that need none.
 * Calls fail as those of Session, and with what `dial` throws.
 */
export class SignedIn implements Transport {
  private opening: Promise<Session> | undefined;
  private opened: Session | undefined;

  constructor(
    private readonly dial: () => Promise<Transport>,
    private readonly store: SealedStore,
    readonly deviceKey: DeviceKey,
    /** Signed in already. */
    session?: Session,
  ) {
    this.opened = session;
    if (session !== undefined) this.opening = Promise.resolve(session);
  }

  session(): Promise<Session> {
    this.opening ??= this.signIn().catch((error: unknown) => {
      this.opening = undefined;
      throw error;
    });
    return this.opening;
  }

  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions = {},
  ): Promise<MessageShape<O>> {
    return (await this.session()).unary(method, request, options);
  }

  async *serverStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions = {},
  ): AsyncIterable<MessageShape<O>> {
    yield* (await this.session()).serverStream(method, request, options);
  }

  reconnect(): void {
    this.opened?.reconnect();
  }

  close(): void {
    this.opened?.close();
  }

  private async signIn(): Promise<Session> {
    const transport = await this.dial();
    try {
      this.opened = await Session.signIn(transport, this.store);
      return this.opened;
    } catch (error) {
      transport.close();
      throw error;
    }
  }
}
