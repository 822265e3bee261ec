import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, inject, test } from 'vitest';

import { firstSteps } from '../../examples/first_steps.ts';
import { KeyService } from '../../src/api.ts';
import { SealedStore, Session } from '../../src/index.ts';
import { FileStore } from '../../src/node.ts';
import { until } from '../support/until.ts';
import { openStore, temporaryFolder, transportTo } from './people.ts';
import { talker, twoPeople } from './talkers.ts';

test('the example of the README runs', async () => {
  // Somebody who has a conversation already starts the example on the same device.
  const people = await twoPeople();
  const { bob, conversation } = people;
  const ann = await talker(people.ann);
  await bob.store.close();
  const stopping = new AbortController();
  const passphrase = 'a bird in the hand';
  const running = firstSteps(inject('endpoints'), bob.folder, passphrase, stopping.signal);
  const watching = await openStore(bob.folder);
  await ann.conversations.send(conversation, 'hello');
  ann.run();
  // After the commit that made the group.
  const name = `said/${conversation}/2`;
  await until('the message', 20, async () => (await watching.get(name)) !== undefined);
  expect(new TextDecoder().decode(await watching.get(name))).toBe('hello');
  stopping.abort();
  expect(await running).toBe('stopped');
  const session = await Session.signIn(transportTo(), watching);
  const { count } = await session.unary(KeyService.method.countKeyPackages, {});
  expect(count).toMatchObject({ available: 99, hasLastResort: true });
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
