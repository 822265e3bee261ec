import type {
  DescMessage,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';

/** How a single call is made. */
export interface CallOptions {
  /** Sent as `authorization: Bearer …`. A Session sets it by itself. */
  readonly token?: string;
  /**
   * Unary calls end by then at the latest, 10 s unless told. A stream has no deadline: it ends
   * itself after half an hour, and whoever reads it watches for silence.
   */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export const DEFAULT_TIMEOUT_MS = 10_000;

/**
 * Calls the services. Every failure is a HandrailError. May be shared by any number of calls at
 * once. Browsers have no other kinds of call than these two.
 */
export interface Transport {
  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options?: CallOptions,
  ): Promise<MessageShape<O>>;

  /** Leaving the loop early, or the signal, ends the stream at the server too. */
  serverStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    options?: CallOptions,
  ): AsyncIterable<MessageShape<O>>;

  /** Drops the connections that are held, for when one has gone silent; the next call dials. */
  reconnect(): void;

  /** Ends what runs. No call may follow. */
  close(): void;
}
