// What every store must do, in a form that runs in Node and in a browser's page alike.
import { StoreConflict, StoreError } from '../../src/store/store.ts';
import type { Change, Store } from '../../src/store/store.ts';

/** Opens the same place again and again; what `open` gives at once are several users of it. */
export interface StorePlace {
  open(): Promise<Store>;
}

export interface StoreCase {
  readonly name: string;
  run(place: StorePlace): Promise<void>;
}

const utf8 = (text: string) => new TextEncoder().encode(text);

const put = (name: string, expected: number, version: number, value: string): Change => ({
  name,
  expected,
  next: { kind: 'put', version, value: utf8(value) },
});
const remove = (name: string, expected: number): Change => ({
  name,
  expected,
  next: { kind: 'delete' },
});
const keep = (name: string, expected: number): Change => ({
  name,
  expected,
  next: { kind: 'keep' },
});

function equal(actual: unknown, expected: unknown, what: string): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: ${a} instead of ${b}`);
}

/** All of a store, as `name@version=value`. */
async function all(store: Store): Promise<string[]> {
  const lines = [];
  for (const name of await store.list('')) {
    const found = await store.get(name);
    lines.push(`${name}@${found?.version}=${new TextDecoder().decode(found?.value)}`);
  }
  return lines;
}

async function outcome(step: Promise<unknown>): Promise<string> {
  try {
    await step;
    return 'done';
  } catch (error) {
    if (error instanceof StoreConflict) return `conflict over ${error.record}`;
    if (error instanceof StoreError) return error.fault;
    throw error;
  }
}

export const STORE_CASES: readonly StoreCase[] = [
  {
    name: 'begins empty',
    run: async (place) => {
      const store = await place.open();
      equal(await store.list(''), [], 'names');
      equal(await store.get('nothing'), undefined, 'a record');
      await store.close();
    },
  },
  {
    name: 'keeps what was put, also when opened again',
    run: async (place) => {
      const store = await place.open();
      await store.apply([put('a', 0, 7, 'one'), put('b/2', 0, 1, ''), put('b/1', 0, 2, 'three')]);
      equal(await all(store), ['a@7=one', 'b/1@2=three', 'b/2@1='], 'records');
      equal(await store.list('b/'), ['b/1', 'b/2'], 'names under b/');
      equal(await store.list('c'), [], 'names under c');
      await store.close();
      const again = await place.open();
      equal(await all(again), ['a@7=one', 'b/1@2=three', 'b/2@1='], 'records');
      await again.close();
    },
  },
  {
    name: 'keeps every byte',
    run: async (place) => {
      const store = await place.open();
      const value = Uint8Array.from({ length: 256 * 300 }, (_, i) => i + (i >> 8));
      await store.apply([{ name: 'bytes', expected: 0, next: { kind: 'put', version: 1, value } }]);
      const found = await store.get('bytes');
      equal(found?.value.length, value.length, 'length');
      equal(found?.value.every((byte, i) => byte === value[i]), true, 'the same bytes');
      await store.close();
    },
  },
  {
    name: 'gives and takes copies',
    run: async (place) => {
      const store = await place.open();
      const value = utf8('mine');
      await store.apply([{ name: 'a', expected: 0, next: { kind: 'put', version: 1, value } }]);
      value.fill(0);
      (await store.get('a'))?.value.fill(0);
      equal(await all(store), ['a@1=mine'], 'records');
      await store.close();
    },
  },
  {
    name: 'compares before it sets, and sets all or nothing',
    run: async (place) => {
      const store = await place.open();
      await store.apply([put('a', 0, 1, 'first'), put('b', 0, 1, 'first')]);
      const attempts: [string, Change[]][] = [
        ['conflict over a', [put('a', 0, 2, 'x')]],
        ['conflict over a', [put('b', 1, 2, 'x'), put('a', 3, 4, 'x')]],
        ['conflict over c', [put('b', 1, 2, 'x'), put('c', 1, 2, 'x')]],
        ['conflict over a', [remove('b', 1), remove('a', 2)]],
        ['conflict over a', [put('b', 1, 2, 'x'), keep('a', 2)]],
        ['conflict over c', [put('b', 1, 2, 'x'), keep('c', 1)]],
        ['conflict over c', [remove('c', 1)]],
      ];
      for (const [expected, changes] of attempts) {
        equal(await outcome(store.apply(changes)), expected, JSON.stringify(changes));
        equal(await all(store), ['a@1=first', 'b@1=first'], 'records');
      }
      await store.apply([put('a', 1, 2, 'second'), remove('b', 1), keep('c', 0)]);
      equal(await all(store), ['a@2=second'], 'records');
      await store.apply([put('b', 0, 5, 'again')]);
      equal(await all(store), ['a@2=second', 'b@5=again'], 'records');
      await store.close();
    },
  },
  {
    name: 'refuses changes that make no sense',
    run: async (place) => {
      const store = await place.open();
      const many = Array.from({ length: 1001 }, (_, i) => put(`n${i}`, 0, 1, ''));
      const senseless: Change[][] = [
        [put('', 0, 1, '')],
        [put('x'.repeat(513), 0, 1, '')],
        [put('a', 0, 0, '')],
        [put('a', 5, 5, '')],
        [put('a', -1, 5, '')],
        [put('a', 0, 1.5, '')],
        [put('a', 0, 1, ''), put('a', 0, 1, '')],
        many,
      ];
      for (const changes of senseless) {
        equal(await outcome(store.apply(changes)), 'invalid', 'the outcome');
      }
      equal(await all(store), [], 'records');
      await store.apply(many.slice(1));
      equal((await store.list('n')).length, 1000, 'records');
      await store.close();
    },
  },
  {
    name: 'shows one user what another wrote, and lets one of two win',
    run: async (place) => {
      const [one, other] = [await place.open(), await place.open()];
      await one.apply([put('a', 0, 1, 'one')]);
      equal(await all(other), ['a@1=one'], 'records as the other sees them');
      const outcomes = await Promise.all([
        outcome(one.apply([put('a', 1, 2, 'of one')])),
        outcome(other.apply([put('a', 1, 2, 'of the other')])),
      ]);
      equal([...outcomes].sort(), ['conflict over a', 'done'], 'outcomes');
      const winner = outcomes[0] === 'done' ? 'of one' : 'of the other';
      equal(await all(one), [`a@2=${winner}`], 'records');
      equal(await all(other), [`a@2=${winner}`], 'records as the other sees them');
      await Promise.all([one.close(), other.close()]);
    },
  },
  {
    name: 'counts right when many add at once',
    run: async (place) => {
      const users = await Promise.all([1, 2, 3, 4].map(() => place.open()));
      const add = async (store: Store) => {
        for (;;) {
          const found = await store.get('sum');
          const version = found?.version ?? 0;
          const change = put('sum', version, version + 1, '');
          if ((await outcome(store.apply([change]))) === 'done') return;
        }
      };
      const addMany = async (store: Store) => {
        for (let i = 0; i < 40; ++i) await add(store);
      };
      await Promise.all(users.map(addMany));
      for (const store of users) equal((await store.get('sum'))?.version, 160, 'the sum');
      await Promise.all(users.map((store) => store.close()));
    },
  },
  {
    name: 'answers no call after it was closed',
    run: async (place) => {
      const store = await place.open();
      const begun = store.apply([put('a', 0, 1, 'one')]);
      await store.close();
      equal(await outcome(begun), 'done', 'what was begun');
      equal(await outcome(store.get('a')), 'closed', 'get');
      equal(await outcome(store.list('')), 'closed', 'list');
      equal(await outcome(store.apply([])), 'closed', 'apply');
      const again = await place.open();
      equal(await all(again), ['a@1=one'], 'records');
      await again.close();
    },
  },
];
