import { ed25519 } from '@noble/curves/ed25519.js';
import type { MessageInitShape } from '@bufbuild/protobuf';

import { fromHex, fromJsonBytes, toHex, toJsonBytes } from '../base/bytes.ts';
import type { DeviceProofSchema } from '../gen/handrail/profiles/v1/identity_pb.ts';
import { IdentityService } from '../gen/handrail/profiles/v1/identity_pb.ts';
import type { SealedStore } from '../store/sealed_store.ts';
import type { Transport } from '../transport/transport.ts';

const RECORD = 'device';

/** A device's key, and whose it is once it has signed in. */
export interface DeviceIdentity {
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** The 32-byte seed. Never leaves the device. */
  readonly privateKey: Uint8Array;
  /** `devices/{device}`. */
  readonly device?: string;
  /** `members/{member}`. */
  readonly member?: string;
}

const encoder = new TextEncoder();

function encode({ privateKey, device, member }: DeviceIdentity): Uint8Array {
  return toJsonBytes({ seed: toHex(privateKey), device, member });
}

function decode(bytes: Uint8Array): DeviceIdentity {
  const { seed, device, member } = fromJsonBytes<{
    seed: string;
    device?: string;
    member?: string;
  }>(bytes);
  const privateKey = fromHex(seed);
  const identity = { privateKey, publicKey: ed25519.getPublicKey(privateKey) };
  return device === undefined || member === undefined ? identity : { ...identity, device, member };
}

/**
 * This device's key: the one in the store, else a new one, which is in the store before anybody
 * hears of it. Two tabs that ask at once get the same.
 */
export function deviceIdentity(store: SealedStore): Promise<DeviceIdentity> {
  return store.transact(async (transaction) => {
    const kept = await transaction.get(RECORD);
    if (kept !== undefined) return decode(kept);
    const privateKey = ed25519.utils.randomSecretKey();
    const made = { privateKey, publicKey: ed25519.getPublicKey(privateKey) };
    transaction.put(RECORD, encode(made));
    return made;
  });
}

/** Keeps who the server says the key belongs to. */
export function keepIdentity(store: SealedStore, identity: DeviceIdentity): Promise<void> {
  return store.transact(async (transaction) => {
    await transaction.get(RECORD);
    transaction.put(RECORD, encode(identity));
  });
}

/**
 * Proof that this device holds its key, good for one use within 60 s. It signs a device in, or is
 * handed to another device of the same person, which adds it with Session.addDevice.
 */
export async function proveDevice(
  transport: Transport,
  { publicKey, privateKey }: DeviceIdentity,
): Promise<MessageInitShape<typeof DeviceProofSchema>> {
  const answer = await transport.unary(IdentityService.method.createChallenge, { publicKey });
  const context = encoder.encode(answer.signingContext);
  const message = new Uint8Array(context.length + answer.challenge.length);
  message.set(context);
  message.set(answer.challenge, context.length);
  const signature = ed25519.sign(message, privateKey);
  return { publicKey, challenge: answer.challenge, signature };
}
