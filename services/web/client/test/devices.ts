import { randomBytes } from 'node:crypto';

import { ed25519 } from '@noble/curves/ed25519.js';

import { EngineError, TsMlsEngine } from '../src/engine/index.ts';
import type { DeviceKey, RefusalReason } from '../src/engine/index.ts';

/** Numbers from 0 to below 1, the same for the same seed. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The devices of a test, and the register in which an engine looks their keys up. */
export class Devices {
  private readonly keys = new Map<string, Uint8Array>();

  make(device = `devices/${randomBytes(16).toString('hex')}`): DeviceKey {
    const privateKey = ed25519.utils.randomSecretKey();
    const publicKey = ed25519.getPublicKey(privateKey);
    this.know(device, publicKey);
    return { device, publicKey, privateKey };
  }

  /** A device that has made its key itself. */
  know(device: string, publicKey: Uint8Array): void {
    this.keys.set(device, publicKey);
  }

  engine(now?: () => number): Promise<TsMlsEngine> {
    const verifyDevice = async (device: string, signatureKey: Uint8Array) =>
      Buffer.from(this.keys.get(device) ?? []).equals(signatureKey);
    return TsMlsEngine.create(now === undefined ? { verifyDevice } : { verifyDevice, now });
  }
}

/** Why a step is refused; fails the test when it is not. */
export async function refusalOf(step: Promise<unknown>): Promise<RefusalReason | 'none'> {
  try {
    await step;
    return 'none';
  } catch (error) {
    if (error instanceof EngineError) return error.reason;
    throw error;
  }
}

export const utf8 = (text: string) => new TextEncoder().encode(text);
export const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
