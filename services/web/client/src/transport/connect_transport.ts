import { create } from '@bufbuild/protobuf';
import type {
  DescMessage,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';
import type { Transport as Wire } from '@connectrpc/connect';

import { HandrailError, toHandrailError } from './errors.ts';
import { DEFAULT_TIMEOUT_MS } from './transport.ts';
import type { CallOptions, Transport } from './transport.ts';

/** A wire of the Connect library, and how its connections are dropped. */
export interface ConnectWire {
  readonly wire: Wire;
  readonly drop: () => void;
}

/** Areas of the API, each served by a process of its own: the second word of `handrail.<area>.v1`. */
export type Area = 'profiles' | 'matching' | 'messaging';

function headersOf(options: CallOptions): Headers {
  const headers = new Headers();
  if (options.token !== undefined) headers.set('authorization', `Bearer ${options.token}`);
  return headers;
}

async function* once<T>(value: T): AsyncIterable<T> {
  yield value;
}

/** Transport over the Connect library, whichever protocol the wires speak. */
export class ConnectTransport implements Transport {
  private readonly closing = new AbortController();

  constructor(private readonly wires: Readonly<Record<Area, ConnectWire>>) {}

  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions = {},
  ): Promise<MessageShape<O>> {
    const signal = this.signalOf(options);
    try {
      const answer = await this.wireOf(method).unary(
        method,
        signal,
        options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
        headersOf(options),
        request,
      );
      return answer.message;
    } catch (error) {
      throw toHandrailError(error, signal);
    }
  }

  async *serverStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions = {},
  ): AsyncIterable<MessageShape<O>> {
    const leaving = new AbortController();
    const signal = AbortSignal.any([this.signalOf(options), leaving.signal]);
    try {
      const answer = await this.wireOf(method).stream(
        method,
        signal,
        options.timeoutMs,
        headersOf(options),
        once(create(method.input, request) as MessageInitShape<I>),
      );
      yield* answer.message;
    } catch (error) {
      throw toHandrailError(error, signal);
    } finally {
      leaving.abort();
    }
  }

  reconnect(): void {
    for (const { drop } of new Set(Object.values(this.wires))) drop();
  }

  close(): void {
    this.closing.abort();
    this.reconnect();
  }

  private signalOf(options: CallOptions): AbortSignal {
    if (options.signal === undefined) return this.closing.signal;
    return AbortSignal.any([this.closing.signal, options.signal]);
  }

  private wireOf(method: { readonly parent: { readonly typeName: string } }): Wire {
    const area = method.parent.typeName.split('.')[1] as Area;
    const found = this.wires[area];
    if (found === undefined) {
      const message = `no endpoint is known for ${method.parent.typeName}`;
      throw new HandrailError({ code: 'UNIMPLEMENTED', message });
    }
    return found.wire;
  }
}
