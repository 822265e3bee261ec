// The oracle itself: that it stays out of what we ship, and what it does not have in common with our
// engine. When one of these limits goes with a newer core-crypto, the mixed walks can do more.
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';

import {
  createProposal,
  decodeGroupState,
  decodeMlsMessage,
  encodeGroupState,
  encodeMlsMessage,
  getCiphersuiteFromName,
  getCiphersuiteImpl,
} from 'ts-mls';
import type { Proposal } from 'ts-mls';
import { defaultClientConfig } from 'ts-mls/clientConfig.js';
import { beforeEach, describe, expect, test, vi } from 'vitest';

import type { TsMlsEngine } from '../src/engine/index.ts';
import { Devices, textOf, utf8 } from './devices.ts';
import { CoreCryptoPeer, wireDevice } from './support/core_crypto.ts';
import { manner } from './support/engine_manner.ts';
import { EnginePeer } from './support/peers.ts';
import type { Bundle, Peer } from './support/peers.ts';

vi.mock('ts-mls', async (original) => {
  const { withManner } = await import('./support/engine_manner.ts');
  return withManner(await original());
});

const ROOT = new URL('..', import.meta.url);
const PACKAGE = '@wireapp/core-crypto';

let devices: Devices;
let engine: TsMlsEngine;
let last: Bundle;
const deliver = (bundle: Bundle): boolean => {
  last = bundle;
  return true;
};

beforeEach(async () => {
  manner.publicCommits = true;
  manner.claimsX509 = false;
  devices = new Devices();
  engine = await devices.engine();
});

const ours = (device = wireDevice()) => new EnginePeer(engine, devices.make(device));

async function theirs(): Promise<CoreCryptoPeer> {
  const peer = await CoreCryptoPeer.create();
  devices.know(peer.device, peer.signatureKey);
  return peer;
}

/** Adds each of `rest` by a commit of the first, which has founded the group. */
async function grow(founder: Peer, rest: readonly Peer[]): Promise<void> {
  for (const [i, peer] of rest.entries()) {
    await founder.commit({ add: [(await peer.keyPackage()).message] }, deliver);
    for (const before of rest.slice(0, i)) await before.receive(last.commit);
    await peer.join(last.welcome!);
  }
}

describe('core-crypto is for tests alone', () => {
  test('no source, example or build file knows of it', async () => {
    const shipped: string[] = ['tsconfig.dist.json', 'tools/build'];
    for (const folder of ['src', 'examples']) {
      const names = await readdir(new URL(folder, ROOT), { recursive: true, withFileTypes: true });
      shipped.push(...names.filter((n) => n.isFile()).map((n) => join(n.parentPath, n.name)));
    }
    expect(shipped.length).toBeGreaterThan(20);
    for (const name of shipped) {
      expect(await readFile(new URL(name, ROOT), 'utf8'), name).not.toMatch(/core-?crypto/i);
    }
  });

  test('it is installed for development only, in one exact version', async () => {
    const own = JSON.parse(await readFile(new URL('package.json', ROOT), 'utf8'));
    expect(own.dependencies).not.toHaveProperty([PACKAGE]);
    expect(own.devDependencies[PACKAGE]).toBe('10.3.0');
    const lock = JSON.parse(await readFile(new URL('package-lock.json', ROOT), 'utf8'));
    const installed = lock.packages[`node_modules/${PACKAGE}`];
    expect(installed).toMatchObject({ version: '10.3.0', dev: true, license: 'GPL-3.0' });
  });
});

describe('what core-crypto does not share with us', () => {
  test('a group that it founds demands X.509 of its members', async () => {
    const founder = await theirs();
    await founder.found(utf8('theirs'));
    const { message } = await ours().keyPackage();
    const adding = founder.commit({ add: [message] }, deliver);
    await expect(adding).rejects.toThrow('Credentials are not acceptable');
    manner.claimsX509 = true;
    await grow(founder, [ours()]);
  });

  test('it reads no commit that is a PrivateMessage', async () => {
    const [founder, other] = [ours(), await theirs()];
    await founder.found(utf8('ours'));
    await grow(founder, [other]);
    manner.publicCommits = false;
    await founder.commit({}, deliver);
    await expect(other.receive(last.commit)).rejects.toThrow('wire format is incompatible');
  });

  test('it wants identities of its own form', async () => {
    const [founder, other] = [ours(`devices/${'0'.repeat(32)}`), await theirs()];
    await founder.found(utf8('ours'));
    await grow(founder, [other]);
    expect(await founder.secret()).toBe(await other.secret());
    const message = await founder.say(utf8('hello'), new Uint8Array());
    await expect(other.receive(message)).rejects.toThrow('client id was not of the format');
  });

  test('it keeps the key of one message that was overtaken, we of ten', async () => {
    const [founder, other, third] = [ours(), await theirs(), ours()];
    await founder.found(utf8('ours'));
    await grow(founder, [other, third]);
    const said: Uint8Array[] = [];
    for (let i = 0; i < 3; ++i) said.unshift(await founder.say(utf8('x'), new Uint8Array()));
    for (const message of said) await third.receive(message);
    await other.receive(said[0]!);
    await other.receive(said[1]!);
    await expect(other.receive(said[2]!)).rejects.toThrow('DuplicateMessage');
  });

  // https://github.com/openmls/openmls/issues/1794
  test('it keeps a removed leaf where a tree is halved and doubled by one commit', async () => {
    const peers = [await theirs(), await theirs(), await theirs(), await theirs()] as const;
    const [founder, second, third, fourth] = peers;
    await founder.found(utf8('theirs'));
    await grow(founder, [second, third, fourth]);
    await founder.commit({ remove: [third.device] }, deliver);
    for (const peer of [second, fourth]) await peer.receive(last.commit);
    await fourth.rejoin(last.groupInfo, deliver);
    await founder.receive(last.commit);
    const members = await founder.members();
    expect(members.filter((device) => device === fourth.device)).toHaveLength(2);
  });
});

describe('in a group of both', () => {
  test('authenticated data that was changed is refused', async () => {
    const [founder, other] = [ours(), await theirs()];
    await founder.found(utf8('ours'));
    await grow(founder, [other]);
    const message = await founder.say(utf8('hello'), utf8('commitment'));
    const changed = Buffer.from(message);
    changed[changed.indexOf('commitment')]! ^= 1;
    await expect(other.receive(changed)).rejects.toThrow();
    const heard = await other.receive(await founder.say(utf8('again'), utf8('commitment')));
    expect(heard.kind === 'application' && textOf(heard.plaintext)).toBe('again');
  });

  test('the left half of the tree is blank', async () => {
    const [founder, second, third, fourth] = [ours(), await theirs(), ours(), await theirs()];
    await founder.found(utf8('ours'));
    await grow(founder, [second, third, fourth]);
    await third.commit({ remove: [founder.device, second.device] }, deliver);
    for (const peer of [founder, second]) {
      expect(await peer.receive(last.commit)).toEqual({ kind: 'commit', active: false });
    }
    await fourth.receive(last.commit);
    await third.commit({}, deliver);
    await fourth.receive(last.commit);
    await fourth.commit({}, deliver);
    await third.receive(last.commit);
    expect(await third.secret()).toBe(await fourth.secret());
  });

  // Our client proposes nothing; the engine takes proposals all the same.
  test.each(['core-crypto', 'ts-mls'])('proposals are committed by %s', async (committer) => {
    const [founder, second, third, gone] = [ours(), await theirs(), ours(), await theirs()];
    await founder.found(utf8('ours'));
    await grow(founder, [second, third, gone]);
    const newcomer = await theirs();
    const { message } = await newcomer.keyPackage();
    const decoded = decodeMlsMessage(message, 0)![0];
    if (decoded.wireformat !== 'mls_key_package') throw new Error('no key package');
    const proposals: Proposal[] = [
      { proposalType: 'remove', remove: { removed: 3 } },
      { proposalType: 'add', add: { keyPackage: decoded.keyPackage } },
    ];
    for (const proposal of proposals) {
      const proposed = await propose(founder, proposal);
      for (const peer of [second, third]) {
        expect((await peer.receive(proposed)).kind).toBe('proposal');
      }
    }
    if (committer === 'core-crypto') await second.commitProposals(deliver);
    else await third.commit({}, deliver);
    const [commit, welcome] = [last.commit, last.welcome!];
    for (const peer of [founder, second, third]) {
      if (peer !== (committer === 'core-crypto' ? second : third)) await peer.receive(commit);
    }
    await newcomer.join(welcome);
    const secrets = await Promise.all([founder, second, third, newcomer].map((p) => p.secret()));
    expect(new Set(secrets).size).toBe(1);
    expect(await second.members()).toEqual(await founder.members());
  });
});

async function propose(peer: EnginePeer, proposal: Proposal): Promise<Uint8Array> {
  const suite = await getCiphersuiteImpl(
    getCiphersuiteFromName('MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519'),
  );
  const [group] = decodeGroupState(peer.state.slice(), 0)!;
  const state = { ...group, clientConfig: defaultClientConfig };
  const { message, newState } = await createProposal(state, true, proposal, suite);
  peer.state = encodeGroupState(newState);
  return encodeMlsMessage(message);
}
