import { constants, createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';

import { expect, test } from 'vitest';

import { MessagingService } from '../src/api.ts';
import { HandrailError } from '../src/index.ts';
import { createNodeTransport } from '../src/node.ts';

test('a server that refuses a stream unseen may be asked again', async () => {
  const server = createServer();
  server.on('stream', (stream) => {
    stream.on('error', () => {});
    stream.close(constants.NGHTTP2_REFUSED_STREAM);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const endpoint = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const transport = createNodeTransport({
    profiles: endpoint,
    matching: endpoint,
    messaging: endpoint,
  });
  const error = await transport
    .unary(MessagingService.method.listConversations, {})
    .catch((refused: unknown) => refused);
  expect(error).toBeInstanceOf(HandrailError);
  expect(error).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  transport.close();
  await new Promise((closed) => server.close(closed));
});
