import { fromJsonBytes, toHex, toJsonBytes } from '../base/bytes.ts';
import type { DeviceKey } from '../engine/engine.ts';
import type { SealedStore, Transaction } from '../store/sealed_store.ts';

const DEVICE = 'device-key/';

/**
 * Keeps a device's key, in hexadecimal digits, unless one is known. False when that is another, and
 * then nothing is changed.
 */
export async function pinDevice(
  transaction: Transaction,
  device: string,
  key: string,
): Promise<boolean> {
  const known = await transaction.get(DEVICE + device);
  if (known !== undefined) return fromJsonBytes<string>(known) === key;
  transaction.put(DEVICE + device, toJsonBytes(key));
  return true;
}

/**
 * Which key each device has, for EngineOptions.verifyDevice. The first key that is seen of a device
 * is kept, and another is refused from then on; of this device only its own is taken. Where a
 * member's device log was read before, that is the key in the log (DeviceLogs).
 *
 * That a device is its person's is what the server says when it is first seen: only people who
 * compare the digits of `Conversations.authenticator` know that nobody stands between them.
 */
export class DeviceTrust {
  constructor(
    private readonly store: SealedStore,
    private readonly own: DeviceKey,
  ) {}

  /** For `TsMlsEngine.create`. */
  readonly verify = async (device: string, signatureKey: Uint8Array): Promise<boolean> => {
    const key = toHex(signatureKey);
    if (device === this.own.device) return key === toHex(this.own.publicKey);
    return this.store.transact((transaction) => pinDevice(transaction, device, key));
  };
}
