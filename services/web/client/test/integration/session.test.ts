import { describe, expect, inject, test } from 'vitest';

import { IdentityService, MatchingService, MessagingService } from '../../src/api.ts';
import { HandrailError, Session, newRequestId, proveDevice } from '../../src/index.ts';
import type { StatusCode } from '../../src/index.ts';
import { deviceIdentity } from '../../src/session/device.ts';
import { FaultProxy } from '../support/fault_proxy.ts';
import { newDevice, openStore, temporaryFolder, transportTo } from './people.ts';

async function failureOf(step: Promise<unknown>): Promise<HandrailError> {
  try {
    await step;
  } catch (error) {
    if (error instanceof HandrailError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

const refusal = async (step: Promise<unknown>): Promise<[StatusCode, string]> => {
  const { code, reason } = await failureOf(step);
  return [code, reason];
};

const listConversations = MessagingService.method.listConversations;

describe('signing in', () => {
  test('a device is the same again after the app was closed', async () => {
    const { session, store, folder } = await newDevice();
    await store.close();
    const again = await openStore(folder);
    const second = await Session.register(transportTo(), again);
    const third = await Session.signIn(transportTo(), again);
    for (const { member, deviceKey } of [second, third]) {
      expect(member).toBe(session.member);
      expect(deviceKey).toEqual(session.deviceKey);
    }
    expect(session.deviceKey.device).toMatch(/^devices\/[0-9a-f]{32}$/);
    expect((await third.unary(listConversations, {})).conversations).toEqual([]);
  });

  test('registering goes on where it was cut off', async () => {
    const folder = temporaryFolder();
    const store = await openStore(folder);
    const identity = await deviceIdentity(store);
    const proof = await proveDevice(transportTo(), identity);
    // The server heard of it, and the app was closed before the answer came.
    const { device } = await transportTo().unary(IdentityService.method.registerDevice, { proof });
    await store.close();
    const session = await Session.register(transportTo(), await openStore(folder));
    expect(session.deviceKey.device).toBe(device?.name);
  });

  test('a second device is added by the first', async () => {
    const first = await newDevice();
    const store = await openStore(temporaryFolder());
    const transport = transportTo();
    expect(await refusal(Session.signIn(transport, store))).toEqual([
      'UNAUTHENTICATED',
      'SIGNATURE_INVALID',
    ]);
    const proof = await proveDevice(transport, await deviceIdentity(store));
    const requestId = newRequestId();
    const added = await first.session.addDevice(proof, requestId);
    const second = await Session.signIn(transport, store);
    expect(second.member).toBe(first.session.member);
    expect(second.deviceKey.device).toBe(added.name);
    expect(second.deviceKey.device).not.toBe(first.session.deviceKey.device);
  });

  test('a device that was removed learns so', async () => {
    const { session, store } = await newDevice();
    await session.revokeDevice(session.deviceKey.device, newRequestId());
    expect(await refusal(Session.signIn(transportTo(), store))).toEqual([
      'UNAUTHENTICATED',
      'SIGNATURE_INVALID',
    ]);
  });
});

describe('the token', () => {
  test('is renewed before it runs out, once for all who ask', async () => {
    const store = await openStore(temporaryFolder());
    let now = Date.now();
    const session = await Session.register(transportTo(), store, { now: () => now });
    const first = await session.token();
    now += 7 * 60_000;
    expect(await session.token()).toBe(first);
    now += 2 * 60_000;
    const tokens = await Promise.all([1, 2, 3, 4].map(() => session.token()));
    expect(new Set(tokens).size).toBe(1);
    expect(tokens[0]).not.toBe(first);
    expect((await session.unary(listConversations, {})).conversations).toEqual([]);
  });

  test('is used a while where the clock is wrong, and not asked for at every call', async () => {
    const store = await openStore(temporaryFolder());
    for (const wrong of [-365, 365]) {
      const now = () => Date.now() + wrong * 86_400_000;
      const session = await Session.register(transportTo(), store, { now });
      const first = await session.token();
      expect(await session.token()).toBe(first);
      expect((await session.unary(listConversations, {})).conversations).toEqual([]);
    }
  });

  test('that a service refuses is replaced by a new one', async () => {
    const { session } = await newDevice();
    const held = session as unknown as { held: { token: string; renewAt: number } };
    const good = held.held.token;
    held.held = { ...held.held, token: `${good.slice(0, -8)}AAAAAAAA` };
    expect((await session.unary(listConversations, {})).conversations).toEqual([]);
    held.held = { ...held.held, token: `${good.slice(0, -8)}AAAAAAAA` };
    const stop = new AbortController();
    const subscribe = MessagingService.method.subscribe;
    for await (const { event } of session.serverStream(subscribe, {}, { signal: stop.signal })) {
      expect(event.case).toBe('started');
      break;
    }
    stop.abort();
  });
});

describe('an error', () => {
  test('has code and reason, and names the field', async () => {
    const { session } = await newDevice();
    const transport = transportTo();
    const getTicket = MatchingService.method.getTicket;
    expect(await refusal(transport.unary(listConversations, {}))).toEqual([
      'UNAUTHENTICATED',
      'TOKEN_MISSING',
    ]);
    const nobodys = { name: `tickets/${'0'.repeat(32)}` };
    expect(await refusal(session.unary(getTicket, nobodys))).toEqual(['NOT_FOUND', 'NOT_FOUND']);
    const wrong = await failureOf(session.unary(listConversations, { pageSize: -1 }));
    expect(wrong).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'FIELD_INVALID' });
    expect(wrong.fields.map(({ field }) => field)).toEqual(['page_size']);
    expect(wrong.retryable).toBe(false);
    expect(wrong.message).not.toBe('');
  });

  test('says how long to wait', async () => {
    const { session } = await newDevice();
    const ask = () =>
      failureOf(session.unary(MatchingService.method.requestMatch, { requestId: newRequestId() }));
    let limited = await ask();
    for (let i = 0; i < 2000 && limited.code !== 'RESOURCE_EXHAUSTED'; ++i) limited = await ask();
    expect(limited.reason).toBe('RATE_LIMITED');
    expect(limited.retryAfterMs).toBeGreaterThan(0);
    expect(limited.retryable).toBe(true);
  });

  test('of a service that is not there, or is cut off, can be repeated', async () => {
    const nobody = transportTo({ messaging: '127.0.0.1:1' });
    const options = { token: 'x' };
    const absent = await failureOf(nobody.unary(listConversations, {}, options));
    expect([absent.code, absent.reason, absent.retryable]).toEqual(['UNAVAILABLE', '', true]);

    const proxy = await FaultProxy.to(inject('endpoints').messaging);
    const { session } = await newDevice({ messaging: proxy.endpoint });
    await session.unary(listConversations, {});
    proxy.stall();
    const late = await failureOf(session.unary(listConversations, {}, { timeoutMs: 200 }));
    expect([late.code, late.retryable]).toEqual(['DEADLINE_EXCEEDED', true]);
    const pending = failureOf(session.unary(listConversations, {}, { timeoutMs: 5000 }));
    proxy.cut();
    expect((await pending).code).toBe('UNAVAILABLE');
    expect((await session.unary(listConversations, {})).conversations).toEqual([]);
    proxy.stall();
    session.reconnect();
    expect((await session.unary(listConversations, {})).conversations).toEqual([]);
    await proxy.close();
  });

  test('of a call that was cancelled says so', async () => {
    const { session } = await newDevice();
    const stop = new AbortController();
    stop.abort();
    const cancelled = await failureOf(
      session.unary(listConversations, {}, { signal: stop.signal }),
    );
    expect([cancelled.code, cancelled.retryable]).toEqual(['CANCELLED', false]);
  });
});

describe('pushes', () => {
  test('are asked for with a token, and taken back', async () => {
    const { session } = await newDevice();
    // This deployment has no gateway; the token is kept all the same.
    expect(await session.registerPush('a handle of the gateway')).toBe(false);
    expect(await session.registerPush('x'.repeat(1024))).toBe(false);
    await session.unregisterPush();
    await session.unregisterPush();
  });

  test('are refused for what is no token', async () => {
    const { session } = await newDevice();
    for (const token of ['', 'x'.repeat(1025), 'zwölf', 'a\nb', '\u0000', '🙂']) {
      const refused = await failureOf(session.registerPush(token));
      expect([refused.code, refused.reason]).toEqual(['INVALID_ARGUMENT', 'FIELD_INVALID']);
      expect(refused.fields.map(({ field }) => field)).toEqual(['token']);
    }
  });
});
