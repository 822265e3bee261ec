import { createGrpcWebTransport } from '@connectrpc/connect-web';

import { ConnectTransport } from './connect_transport.ts';
import type { Transport } from './transport.ts';

/** gRPC-Web, for browsers, through a gateway at this origin. */
export function createBrowserTransport(gateway: string): Transport {
  const wire = { wire: createGrpcWebTransport({ baseUrl: gateway }), drop: () => {} };
  return new ConnectTransport({ profiles: wire, matching: wire, messaging: wire });
}
