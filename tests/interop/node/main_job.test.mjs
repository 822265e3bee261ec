// The main job, played by a client in another language over real gRPC against `handrail up`.
import assert from 'node:assert/strict';
import {spawn} from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import {after, before, test} from 'node:test';
import {Person, call, connect, newId, reasonOf, somebody, status} from './handrail.mjs';

const binaries = process.env.HANDRAIL_BIN_DIR;
let folder;
let up;
let services;
let endpoints;

function portIsFree(port) {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

async function freeBasePort() {
  for (let base = 21000; base < 29000; base += 20) {
    const wanted = [1, 2, 3, 11, 12, 13].map((offset) => base + offset);
    const free = await Promise.all(wanted.map(portIsFree));
    if (free.every(Boolean)) return base;
  }
  throw new Error('no free ports');
}

async function until(what, ask, seconds = 20) {
  const giveUp = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > giveUp) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

before(async () => {
  assert.ok(binaries, 'HANDRAIL_BIN_DIR must name the folder of the built programs');
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'handrail-interop-'));
  const port = await freeBasePort();
  up = spawn(path.join(binaries, 'handrail'), ['--data', folder, 'up', '--port', String(port)], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  endpoints = await until(
    'handrail up',
    () => {
      if (up.exitCode !== null) throw new Error('handrail up ended');
      const file = path.join(folder, 'endpoints.json');
      return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : null;
    },
    60,
  );
  services = connect(endpoints);
});

after(async () => {
  for (const stub of Object.values(services ?? {})) stub.close();
  if (up && up.exitCode === null) {
    up.kill('SIGTERM');
    await new Promise((resolve) => up.once('exit', resolve));
  }
  if (folder) fs.rmSync(folder, {recursive: true, force: true});
});

// Each test has people of a language of its own, so that nobody else is suitable.
async function newSponsor(language, capacity = 2) {
  const sponsor = await Person.register(services);
  await sponsor.call('profile', 'UpdateProfile', {
    profile: {
      pseudonym: 'sam',
      sponsor: {
        person: {...somebody, languages: [language]},
        programs: [
          {
            philosophy: 'PHILOSOPHY_TWELVE_STEP_AA',
            recovery_date: {year: 2012, month: 5, day: 1},
            steps_done: 12,
            has_own_sponsor: true,
            attends_actively: true,
            trainings: ['TRAINING_BOUNDARIES', 'TRAINING_FACILITATOR'],
            relationship_types: ['RELATIONSHIP_TYPE_SPONSOR'],
          },
        ],
      },
    },
    update_mask: {paths: ['pseudonym', 'sponsor']},
    request_id: newId(),
  });
  await sponsor.agree();
  await sponsor.call('profile', 'AttestAvailability', {request_id: newId()});
  await until('matching to know the sponsor', () =>
    sponsor
      .call('matching', 'SetAvailability', {capacity, accepting: true, request_id: newId()})
      .catch(() => null),
  );
  return sponsor;
}

async function newNewcomer(language) {
  const newcomer = await Person.register(services);
  await newcomer.call('profile', 'UpdateProfile', {
    profile: {
      pseudonym: 'maria',
      newcomer: {
        person: {...somebody, languages: [language]},
        philosophies: ['PHILOSOPHY_TWELVE_STEP_AA'],
      },
    },
    update_mask: {paths: ['pseudonym', 'newcomer']},
    request_id: newId(),
  });
  await newcomer.agree();
  return newcomer;
}

const ask = (newcomer, requestId = newId()) =>
  newcomer.call('matching', 'RequestMatch', {
    relationship_type: 'RELATIONSHIP_TYPE_SPONSOR',
    philosophy: 'PHILOSOPHY_TWELVE_STEP_AA',
    request_id: requestId,
  });

async function rejects(promise, code, reason) {
  const error = await promise.then(
    () => assert.fail(`expected ${reason}`),
    (e) => e,
  );
  assert.equal(error.code, code, error.message);
  assert.equal(reasonOf(error), reason);
}

test('a newcomer and a sponsor find each other and talk', async () => {
  const sponsor = await newSponsor('en');
  const newcomer = await newNewcomer('en');

  const requestId = newId();
  const ticket = await until('the ticket', () => ask(newcomer, requestId).catch(() => null));
  const again = await ask(newcomer, requestId);
  assert.equal(again.name, ticket.name, 'the same request id gets its first answer');

  const offer = await until('the offer', async () => {
    const list = await sponsor.call('matching', 'ListOffers', {});
    return list.offers[0];
  });
  assert.equal(offer.state, 'OFFER_STATE_OPEN');
  assert.equal(offer.reasons.length, 3);
  assert.ok(offer.score > 0 && offer.score <= 100);

  const pairing = await sponsor.call('matching', 'AcceptOffer', {
    name: offer.name,
    request_id: newId(),
  });
  assert.equal(pairing.newcomer, newcomer.member);
  assert.equal(pairing.sponsor, sponsor.member);

  const paired = await until('the conversation', async () => {
    const now = await newcomer.call('matching', 'GetTicket', {name: ticket.name});
    return now.conversation ? now : null;
  });
  assert.equal(paired.state, 'TICKET_STATE_PAIRED');

  const events = [];
  const subscription = newcomer.stream('messaging', 'Subscribe', {});
  subscription.on('data', (event) => events.push(event));
  subscription.on('error', () => {});
  const payload = Buffer.from('opaque bytes: \u0000\u0001 and text', 'utf8');
  const sent = await sponsor.call('messaging', 'SendMessage', {
    conversation: paired.conversation,
    message_id: newId(),
    payload,
  });
  assert.equal(sent.sequence, 1);
  const event = await until('the message', () => events.find((e) => e.envelope));
  assert.deepEqual(event.envelope.payload, payload);
  assert.equal(event.envelope.sender, sponsor.member);
  assert.ok(events[0].started, 'Started comes first');
  await newcomer.call('messaging', 'AckMessages', {
    cursors: [{conversation: paired.conversation, after_sequence: 1}],
  });
  const conversation = await newcomer.call('messaging', 'GetConversation', {
    name: paired.conversation,
  });
  assert.equal(conversation.acked_sequence, 1);
  subscription.cancel();

  await newcomer.call('matching', 'EndPairing', {name: pairing.name, request_id: newId()});
  await until('the conversation to close', () =>
    sponsor
      .call('messaging', 'SendMessage', {
        conversation: paired.conversation,
        message_id: newId(),
        payload,
      })
      .then(
        () => false,
        (error) => reasonOf(error) === 'CONVERSATION_CLOSED',
      ),
  );
});

test('a decline passes the ticket on and keeps its age', async () => {
  const first = await newSponsor('mt', 1);
  const newcomer = await newNewcomer('mt');
  const ticket = await until('the ticket', () => ask(newcomer).catch(() => null));
  const offer = await until('the offer', async () => {
    const list = await first.call('matching', 'ListOffers', {});
    return list.offers[0];
  });
  await first.call('matching', 'DeclineOffer', {name: offer.name, request_id: newId()});
  await rejects(
    first.call('matching', 'AcceptOffer', {name: offer.name, request_id: newId()}),
    status.FAILED_PRECONDITION,
    'OFFER_NOT_OPEN',
  );
  const second = await newSponsor('mt', 1);
  const next = await until('the offer to the next sponsor', async () => {
    const list = await second.call('matching', 'ListOffers', {});
    return list.offers[0];
  });
  assert.notEqual(next.name, offer.name);
  const now = await newcomer.call('matching', 'GetTicket', {name: ticket.name});
  assert.equal(now.state, 'TICKET_STATE_OFFERED');
  assert.equal(now.offer_count, 2);
  assert.deepEqual(now.create_time, ticket.create_time);
  const cancelled = await newcomer.call('matching', 'CancelTicket', {
    name: ticket.name,
    request_id: newId(),
  });
  assert.equal(cancelled.state, 'TICKET_STATE_CANCELLED');
  await rejects(
    second.call('matching', 'AcceptOffer', {name: next.name, request_id: newId()}),
    status.FAILED_PRECONDITION,
    'OFFER_NOT_OPEN',
  );
});

test('bad input and wrong callers get a reason', async () => {
  const newcomer = await newNewcomer('cy');
  const stranger = await newNewcomer('cy');
  const ticket = await until('the ticket', () => ask(newcomer).catch(() => null));
  const get = {name: ticket.name};
  await rejects(
    call(services.matching, 'GetTicket', get),
    status.UNAUTHENTICATED,
    'TOKEN_MISSING',
  );
  const forged = newcomer.token.slice(0, -4) + (newcomer.token.endsWith('AAAA') ? 'BBBB' : 'AAAA');
  await rejects(
    call(services.matching, 'GetTicket', get, {token: forged}),
    status.UNAUTHENTICATED,
    'TOKEN_INVALID',
  );
  await rejects(stranger.call('matching', 'GetTicket', get), status.NOT_FOUND, 'NOT_FOUND');
  await rejects(
    newcomer.call('matching', 'GetTicket', get, {deadlineMs: null}),
    status.INVALID_ARGUMENT,
    'DEADLINE_REQUIRED',
  );
  await rejects(
    newcomer.call('matching', 'GetTicket', {name: 'tickets/../../etc'}),
    status.INVALID_ARGUMENT,
    'RESOURCE_NAME_INVALID',
  );
  await rejects(
    newcomer.call('matching', 'RequestMatch', {
      relationship_type: 99,
      philosophy: 'PHILOSOPHY_TWELVE_STEP_AA',
      request_id: newId(),
    }),
    status.INVALID_ARGUMENT,
    'ENUM_UNKNOWN',
  );
  await rejects(ask(newcomer), status.ALREADY_EXISTS, 'TICKET_ALREADY_OPEN');
  await rejects(
    newcomer.call('matching', 'ListOffers', {}),
    status.PERMISSION_DENIED,
    'SPONSOR_PROFILE_REQUIRED',
  );
});

test('a block ends what is between two people', async () => {
  const sponsor = await newSponsor('ga');
  const newcomer = await newNewcomer('ga');
  const ticket = await until('the ticket', () => ask(newcomer).catch(() => null));
  const offer = await until('the offer', async () => {
    const list = await sponsor.call('matching', 'ListOffers', {});
    return list.offers[0];
  });
  const pairing = await sponsor.call('matching', 'AcceptOffer', {
    name: offer.name,
    request_id: newId(),
  });
  const {conversation} = await until('the conversation', async () => {
    const now = await newcomer.call('matching', 'GetTicket', {name: ticket.name});
    return now.conversation ? now : null;
  });
  const answer = await newcomer.call('safety', 'BlockMember', {
    member: sponsor.member,
    request_id: newId(),
  });
  assert.equal(answer.pending, false);
  assert.equal(answer.block.blocked, sponsor.member);
  // From the answer on: no waiting, no retry.
  const send = sponsor.call('messaging', 'SendMessage', {
    conversation,
    message_id: newId(),
    payload: Buffer.from('?'),
  });
  await rejects(send, status.FAILED_PRECONDITION, 'CONVERSATION_CLOSED');
  const ended = await sponsor.call('matching', 'GetPairing', {name: pairing.name});
  assert.equal(ended.state, 'PAIRING_STATE_ENDED');
  const blocks = await sponsor.call('safety', 'ListBlocks', {});
  assert.equal(blocks.blocks.length, 0, 'a block by others is never shown');
});
