import { beforeEach, describe, expect, test } from 'vitest';

import { FileStore } from '../src/store/file_store.ts';
import { SealError } from '../src/store/passphrase.ts';
import type { SealFault } from '../src/store/passphrase.ts';
import { SealedStore } from '../src/store/sealed_store.ts';
import type { Store } from '../src/store/store.ts';
import { textOf, utf8 } from './devices.ts';
import { withFolder } from './support/folders.ts';

const PASSPHRASE = 'a bird in the hand';
const cost = { memoryKib: 64, passes: 1 };

async function faultOf(step: Promise<unknown>): Promise<SealFault | 'none'> {
  try {
    await step;
    return 'none';
  } catch (error) {
    if (error instanceof SealError) return error.fault;
    throw error;
  }
}

const inStore = (step: (raw: Store, sealed: SealedStore) => Promise<void>) => () =>
  withFolder(async (folder) => {
    const raw = await FileStore.open(folder);
    await step(raw, await SealedStore.create(raw, PASSPHRASE, { cost }));
  });

async function set(sealed: SealedStore, name: string, value: string): Promise<void> {
  await sealed.transact(async (transaction) => transaction.put(name, utf8(value)));
}

async function valueOf(sealed: SealedStore, name: string): Promise<string | undefined> {
  const value = await sealed.get(name);
  return value && textOf(value);
}

/** Puts other bytes where a record lies, as somebody with the disk in hand would. */
async function overwrite(raw: Store, name: string, value: Uint8Array): Promise<void> {
  const expected = (await raw.get(name))?.version ?? 0;
  const version = expected + 1;
  await raw.apply([{ name, expected, next: { kind: 'put', version, value } }]);
}

describe('the passphrase', () => {
  test(
    'opens what it closed, and no other does',
    inStore(async (raw, sealed) => {
      await set(sealed, 'a', 'a secret');
      const again = await SealedStore.unlock(raw, PASSPHRASE);
      expect(await valueOf(again, 'a')).toBe('a secret');
      for (const wrong of ['', 'a bird in the Hand', `${PASSPHRASE} `]) {
        expect(await faultOf(SealedStore.unlock(raw, wrong))).toBe('wrong-passphrase');
      }
    }),
  );

  test('is the same however the keyboard composes it', () =>
    withFolder(async (folder) => {
      const raw = await FileStore.open(folder);
      await SealedStore.create(raw, 'cafe\u0301 noir', { cost });
      expect(await faultOf(SealedStore.unlock(raw, 'caf\u00e9 noir'))).toBe('none');
    }));

  test('is asked for once, and must be long enough', () =>
    withFolder(async (folder) => {
      const raw = await FileStore.open(folder);
      expect(await SealedStore.exists(raw)).toBe(false);
      expect(await faultOf(SealedStore.unlock(raw, PASSPHRASE))).toBe('missing');
      expect(await faultOf(SealedStore.create(raw, 'seven77', { cost }))).toBe('weak-passphrase');
      await SealedStore.create(raw, PASSPHRASE, { cost });
      expect(await SealedStore.exists(raw)).toBe(true);
      expect(await faultOf(SealedStore.create(raw, 'another one', { cost }))).toBe('exists');
    }));

  test(
    'can be changed by who knows it',
    inStore(async (raw, sealed) => {
      await set(sealed, 'a', 'a secret');
      const wrong = sealed.changePassphrase('not this one', 'a new passphrase', { cost });
      expect(await faultOf(wrong)).toBe('wrong-passphrase');
      await sealed.changePassphrase(PASSPHRASE, 'a new passphrase', { cost });
      expect(await faultOf(SealedStore.unlock(raw, PASSPHRASE))).toBe('wrong-passphrase');
      const again = await SealedStore.unlock(raw, 'a new passphrase');
      expect(await valueOf(again, 'a')).toBe('a secret');
      expect(await valueOf(sealed, 'a')).toBe('a secret');
    }),
  );

  test('costs about a second by default', () =>
    withFolder(async (folder) => {
      const raw = await FileStore.open(folder);
      await SealedStore.create(raw, PASSPHRASE);
      const header = JSON.parse(textOf((await raw.get('sealed-store'))!.value));
      expect(header).toMatchObject({ kdf: 'argon2id', memoryKib: 47_104, passes: 1, version: 1 });
      expect(await faultOf(SealedStore.unlock(raw, PASSPHRASE))).toBe('none');
    }));
});

describe('who holds the disk', () => {
  test(
    'finds nothing readable',
    inStore(async (raw, sealed) => {
      const secret = 'I returned to use yesterday';
      await set(sealed, 'a', secret);
      for (const name of await raw.list('')) {
        const { value } = (await raw.get(name))!;
        expect(Buffer.from(value).includes(secret)).toBe(false);
      }
    }),
  );

  test(
    'cannot change a bit unnoticed',
    inStore(async (raw, sealed) => {
      await set(sealed, 'a', 'a secret');
      const { value, version } = (await raw.get('a'))!;
      // The same bytes under another version do not pass either.
      await overwrite(raw, 'a', value);
      expect(await faultOf(sealed.get('a'))).toBe('tampered');
      await raw.apply([{ name: 'a', expected: version + 1, next: { kind: 'delete' } }]);
      await raw.apply([{ name: 'a', expected: 0, next: { kind: 'put', version, value } }]);
      expect(await valueOf(sealed, 'a')).toBe('a secret');
      for (let at = 0; at < value.length; ++at) {
        const changed = value.slice();
        changed[at]! ^= 1;
        await raw.apply([{ name: 'a', expected: (await raw.get('a'))!.version, next: { kind: 'delete' } }]);
        await raw.apply([
          { name: 'a', expected: 0, next: { kind: 'put', version, value: changed } },
        ]);
        expect(await faultOf(sealed.get('a'))).toBe(at === 0 ? 'unsupported' : 'tampered');
      }
    }),
  );

  test(
    'cannot pass one record for another, nor an old one for a new one',
    inStore(async (raw, sealed) => {
      await set(sealed, 'a', 'of a');
      await set(sealed, 'b', 'of b');
      const a = (await raw.get('a'))!;
      // Of b, with b's version and with a's own, under b's name.
      const b = (await raw.get('b'))!;
      for (const version of [b.version, a.version]) {
        const expected = (await raw.get('b'))!.version;
        await raw.apply([{ name: 'b', expected, next: { kind: 'delete' } }]);
        const next = { kind: 'put', version, value: a.value } as const;
        await raw.apply([{ name: 'b', expected: 0, next }]);
        expect(await faultOf(sealed.get('b'))).toBe('tampered');
      }
      await set(sealed, 'a', 'newer');
      await overwrite(raw, 'a', a.value);
      expect(await faultOf(sealed.get('a'))).toBe('tampered');
    }),
  );

  test(
    'cannot weaken or replace the header unnoticed',
    inStore(async (raw) => {
      const { value } = (await raw.get('sealed-store'))!;
      const header = JSON.parse(textOf(value));
      const forgeries: [object, SealFault][] = [
        [{ memoryKib: 8 }, 'wrong-passphrase'],
        [{ passes: 2 }, 'wrong-passphrase'],
        [{ salt: '00'.repeat(16) }, 'wrong-passphrase'],
        [{ sealedKey: '00'.repeat(48) }, 'wrong-passphrase'],
        [{ memoryKib: 2 ** 31 }, 'tampered'],
        [{ passes: 0 }, 'tampered'],
        [{ nonce: 'no digits' }, 'tampered'],
        [{ version: 2 }, 'unsupported'],
        [{ kdf: 'none' }, 'unsupported'],
        [{ format: 'other' }, 'unsupported'],
      ];
      for (const [forged, fault] of forgeries) {
        await overwrite(raw, 'sealed-store', utf8(JSON.stringify({ ...header, ...forged })));
        expect(await faultOf(SealedStore.unlock(raw, PASSPHRASE))).toBe(fault);
      }
      await overwrite(raw, 'sealed-store', utf8('{'));
      expect(await faultOf(SealedStore.unlock(raw, PASSPHRASE))).toBe('tampered');
      await overwrite(raw, 'sealed-store', value);
      expect(await faultOf(SealedStore.unlock(raw, PASSPHRASE))).toBe('none');
    }),
  );
});

describe('a transaction', () => {
  let runs: number;
  beforeEach(() => {
    runs = 0;
  });

  test(
    'sees what it put and deleted, and leaves nothing when it throws',
    inStore(async (_, sealed) => {
      await set(sealed, 'a', 'before');
      const failing = sealed.transact(async (transaction) => {
        transaction.put('a', utf8('after'));
        transaction.put('b', utf8('new'));
        expect(textOf((await transaction.get('a'))!)).toBe('after');
        transaction.delete('a');
        expect(await transaction.get('a')).toBeUndefined();
        throw new Error('no');
      });
      await expect(failing).rejects.toThrow('no');
      expect(await sealed.list('')).toEqual(['a']);
      expect(await valueOf(sealed, 'a')).toBe('before');
      await sealed.transact(async (transaction) => transaction.delete('a'));
      expect(await sealed.list('')).toEqual([]);
      await set(sealed, 'a', 'again');
      expect(await valueOf(sealed, 'a')).toBe('again');
    }),
  );

  test(
    'runs again when what it read was changed meanwhile',
    inStore(async (raw, sealed) => {
      const other = await SealedStore.unlock(raw, PASSPHRASE);
      await set(sealed, 'read', '1');
      await sealed.transact(async (transaction) => {
        const read = textOf((await transaction.get('read'))!);
        if (++runs === 1) await set(other, 'read', '2');
        transaction.put('written', utf8(`after ${read}`));
      });
      expect(runs).toBe(2);
      expect(await valueOf(sealed, 'written')).toBe('after 2');
    }),
  );

  test(
    'throws what it throws only about what is so',
    inStore(async (raw, sealed) => {
      const other = await SealedStore.unlock(raw, PASSPHRASE);
      await set(sealed, 'read', 'old');
      const answer = await sealed.transact(async (transaction) => {
        const read = textOf((await transaction.get('read'))!);
        if (++runs === 1) await set(other, 'read', 'new');
        if (read === 'old') throw new Error('old');
        return read;
      });
      expect(answer).toBe('new');
    }),
  );

  test(
    'of several users at once count right',
    inStore(async (raw, sealed) => {
      const users = [sealed, sealed, await SealedStore.unlock(raw, PASSPHRASE)];
      const add = (store: SealedStore) =>
        store.transact(async (transaction) => {
          const sum = await transaction.get('sum');
          transaction.put('sum', utf8(String(Number(sum ? textOf(sum) : 0) + 1)));
        });
      await Promise.all(users.flatMap((store) => Array.from({ length: 10 }, () => add(store))));
      expect(await valueOf(sealed, 'sum')).toBe('30');
    }),
  );

  test(
    'does not touch the header',
    inStore(async (_, sealed) => {
      await expect(set(sealed, 'sealed-store', 'x')).rejects.toThrow(RangeError);
      expect(await sealed.list('')).toEqual([]);
    }),
  );
});
