import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, inject, test } from 'vitest';

import { firstSteps } from '../../examples/first_steps.ts';
import { KeyService } from '../../src/api.ts';
import { SealedStore, Session } from '../../src/index.ts';
import { FileStore } from '../../src/node.ts';
import { until } from '../support/until.ts';
import { newDevice, openStore, pair, send, temporaryFolder, transportTo } from './people.ts';

test('the example of the README runs', async () => {
  // Somebody who has a conversation already starts the example on the same device.
  const [ann, bob] = await Promise.all([newDevice(), newDevice()]);
  const conversation = await pair(ann, bob, 'uk');
  await send(ann.session, conversation, 'hello');
  await bob.store.close();
  const stopping = new AbortController();
  const passphrase = 'a bird in the hand';
  const running = firstSteps(inject('endpoints'), bob.folder, passphrase, stopping.signal);
  const watching = await openStore(bob.folder);
  const name = `inbox/${conversation}/1`;
  await until('the message', 10, async () => (await watching.get(name)) !== undefined);
  expect(new TextDecoder().decode(await watching.get(name))).toBe('hello');
  stopping.abort();
  expect(await running).toBe('stopped');
  const session = await Session.signIn(transportTo(), watching);
  const { count } = await session.unary(KeyService.method.countKeyPackages, {});
  expect(count).toMatchObject({ available: 100, hasLastResort: true });
});

test('the example begins with an empty folder too', async () => {
  const folder = temporaryFolder();
  const running = firstSteps(inject('endpoints'), folder, 'a long passphrase', AbortSignal.abort());
  expect(await running).toBe('stopped');
  const files = await FileStore.open(folder);
  expect(await (await SealedStore.unlock(files, 'a long passphrase')).list('device')).toEqual([
    'device',
  ]);
});

test('the README shows the example as it is', async () => {
  const here = join(import.meta.dirname, '../..');
  const example = await readFile(join(here, 'examples/first_steps.ts'), 'utf8');
  expect(await readFile(join(here, 'README.md'), 'utf8')).toContain(example.trimEnd());
});
