import type {
  DescMessage,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';

import type { DeviceKey } from '../engine/engine.ts';
import { PushService } from '../gen/handrail/messaging/v1/push_pb.ts';
import { IdentityService } from '../gen/handrail/profiles/v1/identity_pb.ts';
import type {
  AccessToken,
  Device,
  DeviceProofSchema,
} from '../gen/handrail/profiles/v1/identity_pb.ts';
import type { SealedStore } from '../store/sealed_store.ts';
import { HandrailError, toHandrailError } from '../transport/errors.ts';
import type { CallOptions, Transport } from '../transport/transport.ts';
import { deviceIdentity, keepIdentity, proveDevice } from './device.ts';
import type { DeviceIdentity } from './device.ts';

export interface SessionOptions {
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** A token that has less than this to live is renewed before it is used. */
const RENEW_BEFORE_MS = 2 * 60_000;
/**
 * With a clock that is ahead every token looks as if it had expired: it is then used for so long
 * without asking, and TOKEN_EXPIRED tells us if that was too long.
 */
const TRUST_MS = 60_000;

/** Whether a new token may help where this one was refused. */
const RENEWABLE = ['TOKEN_EXPIRED', 'TOKEN_INVALID', 'TOKEN_REVOKED', 'TOKEN_MISSING'];

interface Held {
  readonly token: string;
  /** By our clock. */
  readonly renewAt: number;
}

/**
 * A device that is signed in. Calls through it carry its token, which is renewed before it runs
 * out, and once more when a service refuses it.
 *
 * UNAUTHENTICATED with SIGNATURE_INVALID from any call means that the server does not know this
 * device (any more); with DEVICE_REVOKED that it was removed. Both are final.
 */
export class Session implements Transport {
  /** `members/{member}`. */
  readonly member: string;
  /** The device with its key, for the engine. Secret. */
  readonly deviceKey: DeviceKey;

  private held: Held;
  private renewing: Promise<Held> | undefined;

  private constructor(
    private readonly transport: Transport,
    private readonly identity: DeviceIdentity,
    token: AccessToken,
    private readonly now: () => number,
  ) {
    const { publicKey, privateKey } = identity;
    this.member = token.member;
    this.deviceKey = { device: token.device, publicKey, privateKey };
    this.held = this.hold(token);
  }

  /**
   * Signs the store's device in. A device that is not registered yet becomes the first of a new
   * member; the second device of somebody is added by `addDevice` first, and then uses `signIn`.
   */
  static async register(
    transport: Transport,
    store: SealedStore,
    options: SessionOptions = {},
  ): Promise<Session> {
    return Session.open(transport, store, options, async (proof) => {
      const answer = await transport.unary(IdentityService.method.registerDevice, { proof });
      return answer.accessToken;
    });
  }

  /** Signs the store's device in. UNAUTHENTICATED with SIGNATURE_INVALID when nobody knows it. */
  static async signIn(
    transport: Transport,
    store: SealedStore,
    options: SessionOptions = {},
  ): Promise<Session> {
    return Session.open(transport, store, options, (proof) =>
      transport.unary(IdentityService.method.createToken, { proof }),
    );
  }

  private static async open(
    transport: Transport,
    store: SealedStore,
    options: SessionOptions,
    enter: (
      proof: MessageInitShape<typeof DeviceProofSchema>,
    ) => Promise<AccessToken | undefined>,
  ): Promise<Session> {
    const identity = await deviceIdentity(store);
    const token = await enter(await proveDevice(transport, identity));
    if (token === undefined) {
      throw new HandrailError({ code: 'INTERNAL', message: 'the answer holds no token' });
    }
    const { device, member } = token;
    if (identity.device !== device || identity.member !== member) {
      await keepIdentity(store, { ...identity, device, member });
    }
    return new Session(transport, identity, token, options.now ?? Date.now);
  }

  /** A token with at least two minutes to live. Secret. */
  async token(): Promise<string> {
    if (this.now() < this.held.renewAt) return this.held.token;
    return (await this.renew()).token;
  }

  /**
   * Adds another device to this member, with the proof that it made (proveDevice). The same
   * request id gets the first answer.
   */
  addDevice(
    proof: MessageInitShape<typeof DeviceProofSchema>,
    requestId: string,
  ): Promise<Device> {
    return this.unary(IdentityService.method.addDevice, { proof, requestId });
  }

  /** Removes a device of this member; this one too, should it be named. */
  revokeDevice(name: string, requestId: string): Promise<Device> {
    return this.unary(IdentityService.method.revokeDevice, { name, requestId });
  }

  /**
   * Asks for pushes to this device: while it has no stream open and something waits, the server
   * tells the operator's gateway this token, 1 to 1,024 printable ASCII characters, and nothing
   * else. Best a random handle that the gateway has given to the app. Call it after each start: the
   * server forgets a token of which the gateway says that it is of no use. False: this server has no
   * gateway, and nobody will be told.
   */
  async registerPush(token: string): Promise<boolean> {
    return (await this.unary(PushService.method.registerPush, { token })).gateway;
  }

  /** Takes that back: the server forgets the token. */
  async unregisterPush(): Promise<void> {
    await this.unary(PushService.method.unregisterPush, {});
  }

  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions = {},
  ): Promise<MessageShape<O>> {
    const token = await this.token();
    try {
      return await this.transport.unary(method, request, { ...options, token });
    } catch (error) {
      const fresh = await this.afterRefusal(token, error);
      return this.transport.unary(method, request, { ...options, token: fresh });
    }
  }

  async *serverStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions = {},
  ): AsyncIterable<MessageShape<O>> {
    const token = await this.token();
    let begun = false;
    try {
      for await (const message of this.transport.serverStream(method, request, {
        ...options,
        token,
      })) {
        begun = true;
        yield message;
      }
      return;
    } catch (error) {
      if (begun) throw error;
      const fresh = await this.afterRefusal(token, error);
      yield* this.transport.serverStream(method, request, { ...options, token: fresh });
    }
  }

  reconnect(): void {
    this.transport.reconnect();
  }

  /** Closes the transport too. */
  close(): void {
    this.transport.close();
  }

  private async afterRefusal(used: string, error: unknown): Promise<string> {
    const refused = toHandrailError(error);
    if (!RENEWABLE.includes(refused.reason)) throw refused;
    // Another call may have renewed it meanwhile.
    return this.held.token === used ? (await this.renew()).token : this.held.token;
  }

  /** One renewal at a time, whoever asks. */
  private renew(): Promise<Held> {
    this.renewing ??= (async () => {
      const proof = await proveDevice(this.transport, this.identity);
      this.held = this.hold(
        await this.transport.unary(IdentityService.method.createToken, { proof }),
      );
      return this.held;
    })().finally(() => {
      this.renewing = undefined;
    });
    return this.renewing;
  }

  private hold({ token, expireTime }: AccessToken): Held {
    const expires = expireTime === undefined ? 0 : timestampMs(expireTime);
    const renewAt = Math.max(expires - RENEW_BEFORE_MS, this.now() + TRUST_MS);
    return { token, renewAt };
  }
}
