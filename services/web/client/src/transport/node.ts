import { createGrpcTransport } from '@connectrpc/connect-node';

import { ConnectTransport } from './connect_transport.ts';
import type { Area, ConnectWire } from './connect_transport.ts';
import { Http2Sessions } from './http2_sessions.ts';
import type { Transport } from './transport.ts';

/** Where the services listen: `https://host:port`; `http://` or no scheme means without TLS. */
export type Endpoints = Readonly<Record<Area, string>>;

export interface NodeTransportOptions {
  /** Certificates to trust instead of the system's, as PEM. */
  readonly certificateAuthority?: string;
}

// A connection on which nothing comes back is noticed after both. The servers allow a ping every
// ten seconds.
const PING_INTERVAL_MS = 25_000;
const PING_TIMEOUT_MS = 10_000;

// A batch of 16 messages of 64 KiB with room to spare.
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

function wireTo(endpoint: string, options: NodeTransportOptions): ConnectWire {
  const baseUrl = /^https?:\/\//.test(endpoint) ? endpoint : `http://${endpoint}`;
  const ca = options.certificateAuthority;
  const sessions = new Http2Sessions(
    baseUrl,
    { pingIntervalMs: PING_INTERVAL_MS, pingTimeoutMs: PING_TIMEOUT_MS },
    ca === undefined ? {} : { ca },
  );
  const wire = createGrpcTransport({
    baseUrl,
    sessionManager: sessions,
    acceptCompression: [],
    readMaxBytes: MAX_MESSAGE_BYTES,
  });
  return { wire, drop: () => sessions.abort() };
}

/** gRPC over HTTP/2, for Node. The same endpoint three times is an edge that serves all areas. */
export function createNodeTransport(
  endpoints: Endpoints,
  options: NodeTransportOptions = {},
): Transport {
  const wires = new Map<string, ConnectWire>();
  const to = (endpoint: string): ConnectWire => {
    const wire = wires.get(endpoint) ?? wireTo(endpoint, options);
    wires.set(endpoint, wire);
    return wire;
  };
  return new ConnectTransport({
    profiles: to(endpoints.profiles),
    matching: to(endpoints.matching),
    messaging: to(endpoints.messaging),
  });
}
