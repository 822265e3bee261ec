import { constants, createServer } from 'node:http2';
import type { ClientHttp2Stream, ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';

import { expect, test } from 'vitest';

import { Http2Sessions } from '../src/transport/http2_sessions.ts';

async function statusOf(stream: ClientHttp2Stream): Promise<unknown> {
  const status = new Promise((answered, failed) => {
    stream.once('response', (headers) => answered(headers[':status']));
    stream.once('error', failed);
  });
  stream.end();
  stream.resume();
  return status;
}

// An error that nobody catches would end the app; here it fails the run.
test('a call that begins while the server goes away finds a new connection', async () => {
  const server = createServer();
  const theirs = new Set<ServerHttp2Session>();
  server.on('session', (session) => theirs.add(session));
  let calls = 0;
  server.on('stream', (stream) => {
    const { session } = stream;
    stream.respond({ ':status': 200 }, { endStream: true });
    if (++calls > 1) return;
    stream.once('close', () => session?.goaway(constants.NGHTTP2_NO_ERROR));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  const sessions = new Http2Sessions(`http://127.0.0.1:${port}`);
  const first = await sessions.request('POST', '/', {}, {});
  const connection = first.session!;
  const second = new Promise<ClientHttp2Stream>((called) => {
    connection.once('goaway', () => called(sessions.request('POST', '/', {}, {})));
  });
  const ended = new Promise((closed) => connection.once('close', closed));
  expect(await statusOf(first)).toBe(200);
  expect(await statusOf(await second)).toBe(200);
  await ended;
  sessions.abort();
  for (const session of theirs) session.destroy();
  await new Promise((closed) => server.close(closed));
});
