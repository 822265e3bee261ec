import type { ClientHttp2Stream } from 'node:http2';

import { Http2SessionManager } from '@connectrpc/connect-node';

/**
 * Keeps the connection to one endpoint. The library destroys a connection without calls when the
 * server says that it stops, with an error, and looks away when the next call begins before that
 * error is told: nobody catches it then, and the process ends. Here somebody always does. What the
 * error means for calls, they tell themselves.
 */
export class Http2Sessions extends Http2SessionManager {
  private readonly caught = new WeakSet<object>();

  override async request(
    ...call: Parameters<Http2SessionManager['request']>
  ): Promise<ClientHttp2Stream> {
    const stream = await super.request(...call);
    const { session } = stream;
    if (session !== undefined && !this.caught.has(session)) {
      this.caught.add(session);
      session.on('error', () => {});
    }
    return stream;
  }
}
