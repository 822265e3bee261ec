import { expect, test } from 'vitest';

import { GroupService } from '../../src/api.ts';
import { HandrailError } from '../../src/index.ts';
import { until } from '../support/until.ts';
import { allHave, anotherDevice, talker, twoPeople } from './talkers.ts';

test('what waits goes out though a device without key packages cannot be let in', async () => {
  const people = await twoPeople();
  const { conversation, ann } = people;
  // A device that never publishes any: the group is incomplete, and looked at ever less often.
  await anotherDevice(people.bob);
  await until('messaging to know the device', 20, async () => {
    const group = await ann.session.unary(GroupService.method.getGroup, { conversation });
    return group.devices.length === 3;
  });
  const bob = await talker(people.bob);
  let offline = false;
  let looks = 0;
  const session = Object.create(ann.session) as typeof ann.session;
  session.unary = async (method, request, options) => {
    if (method.name === 'GetGroup') looks += 1;
    if (offline && method.name === 'SendMessage') {
      throw new HandrailError({ code: 'UNAVAILABLE', message: 'no network' });
    }
    return ann.session.unary(method, request, options);
  };
  const app = await talker({ ...ann, session }, { checkMs: 300, random: () => 0.99 });
  bob.run();
  await app.conversations.start(conversation);
  looks = 0;
  app.run();
  await until('it to look several times in vain', 30, () => looks >= 4);
  // One after the other, so that what that look began has ended. Then it does not look for a while.
  for (let i = 0; i < 2; ++i) await app.conversations.flush(conversation);
  const before = looks;
  offline = true;
  await app.conversations.send(conversation, 'from the tunnel');
  await until('it to fail', 10, () =>
    app.problems.some(({ message }) => message === 'no network'),
  );
  offline = false;
  await allHave([bob, app], ['from the tunnel']);
  expect(looks).toBe(before);
});
