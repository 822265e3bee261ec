// People with devices, on the real services.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { MessageInitShape } from '@bufbuild/protobuf';
import { inject, onTestFinished } from 'vitest';

import {
  ConsentPurpose,
  Gender,
  MatchingService,
  MessagingService,
  Modality,
  Philosophy,
  ProfileService,
  RelationshipType,
  Training,
} from '../../src/api.ts';
import type { ProfileSchema } from '../../src/api.ts';
import { SealedStore, Session, newRequestId } from '../../src/index.ts';
import { FileStore, createNodeTransport } from '../../src/node.ts';
import type { Endpoints } from '../../src/node.ts';
import type { Transport } from '../../src/index.ts';
import { until } from '../support/until.ts';

export const PASSPHRASE = 'a bird in the hand';
export const CHEAP = { cost: { memoryKib: 64, passes: 1 } };

/** A folder that goes with the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'handrail-client-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The store of a device, as an app that starts finds it. */
export async function openStore(folder: string): Promise<SealedStore> {
  const files = await FileStore.open(folder);
  if (await SealedStore.exists(files)) return SealedStore.unlock(files, PASSPHRASE);
  return SealedStore.create(files, PASSPHRASE, CHEAP);
}

export function transportTo(endpoints: Partial<Endpoints> = {}): Transport {
  const transport = createNodeTransport({ ...inject('endpoints'), ...endpoints });
  onTestFinished(() => transport.close());
  return transport;
}

export interface Device {
  readonly session: Session;
  readonly store: SealedStore;
  readonly folder: string;
}

/** Tries again while the server finds that this machine calls too often. */
export function patiently<T>(call: () => Promise<T>): Promise<NonNullable<T>> {
  return until('room for a call', 60, () =>
    call().catch((error: { reason?: string }) => {
      if (error.reason !== 'RATE_LIMITED') throw error;
      return undefined;
    }),
  );
}

/** Somebody new with one device. */
export async function newDevice(endpoints: Partial<Endpoints> = {}): Promise<Device> {
  const folder = temporaryFolder();
  const store = await openStore(folder);
  const transport = transportTo(endpoints);
  const session = await patiently(() => Session.register(transport, store));
  return { session, store, folder };
}

type ProfileInit = MessageInitShape<typeof ProfileSchema>;

async function describeYourself(
  { session }: Device,
  profile: ProfileInit,
  paths: string[],
): Promise<void> {
  await session.unary(ProfileService.method.updateProfile, {
    profile,
    updateMask: { paths },
    requestId: newRequestId(),
  });
  for (const purpose of [ConsentPurpose.MATCHING, ConsentPurpose.HEALTH_DATA]) {
    await session.unary(ProfileService.method.grantConsent, {
      purpose,
      noticeVersion: 'test-1',
      noticeLanguage: 'en',
      requestId: newRequestId(),
    });
  }
}

const personWhoSpeaks = (language: string) => ({
  languages: [language],
  timeZone: 'Europe/London',
  availability: [1, 2, 3, 4, 5].map((isoWeekday) => ({
    isoWeekday,
    startMinute: 18 * 60,
    lengthMinutes: 180,
  })),
  modalities: [Modality.APP_TEXT],
  gender: Gender.WOMAN,
  adultAttested: true,
});

async function makeSponsor(device: Device, language: string): Promise<void> {
  const program = {
    philosophy: Philosophy.TWELVE_STEP_AA,
    recoveryDate: { year: 2012, month: 5, day: 1 },
    stepsDone: 12,
    hasOwnSponsor: true,
    attendsActively: true,
    trainings: [Training.BOUNDARIES, Training.FACILITATOR],
    relationshipTypes: [RelationshipType.SPONSOR],
  };
  const sponsor = { person: personWhoSpeaks(language), programs: [program] };
  await describeYourself(device, { pseudonym: 'sam', sponsor }, ['pseudonym', 'sponsor']);
  await device.session.unary(ProfileService.method.attestAvailability, {
    requestId: newRequestId(),
  });
  await until('matching to know the sponsor', 60, () =>
    device.session
      .unary(MatchingService.method.setAvailability, {
        capacity: 1,
        accepting: true,
        requestId: newRequestId(),
      })
      .catch(() => undefined),
  );
}

async function makeNewcomer(device: Device, language: string): Promise<void> {
  const newcomer = {
    person: personWhoSpeaks(language),
    philosophies: [Philosophy.TWELVE_STEP_AA],
  };
  await describeYourself(device, { pseudonym: 'maria', newcomer }, ['pseudonym', 'newcomer']);
}

/** A conversation of two people who were paired the long way, for which they share a language. */
export async function pair(sponsor: Device, newcomer: Device, language: string): Promise<string> {
  await Promise.all([makeSponsor(sponsor, language), makeNewcomer(newcomer, language)]);
  const requestId = newRequestId();
  const ticket = await until('the ticket', 60, () =>
    newcomer.session
      .unary(MatchingService.method.requestMatch, {
        relationshipType: RelationshipType.SPONSOR,
        philosophy: Philosophy.TWELVE_STEP_AA,
        requestId,
      })
      .catch(() => undefined),
  );
  const offer = await until('the offer', 60, async () => {
    const { offers } = await patiently(() =>
      sponsor.session.unary(MatchingService.method.listOffers, {}),
    );
    return offers[0];
  });
  const accepting = { name: offer.name, requestId: newRequestId() };
  await patiently(() => sponsor.session.unary(MatchingService.method.acceptOffer, accepting));
  // Should the two part, the seat is not for whoever speaks this language in another file.
  const enough = { capacity: 1, accepting: false, requestId: newRequestId() };
  await patiently(() => sponsor.session.unary(MatchingService.method.setAvailability, enough));
  return until('the conversation', 60, async () => {
    const now = await patiently(() =>
      newcomer.session.unary(MatchingService.method.getTicket, { name: ticket.name }),
    );
    return now.conversation;
  });
}

/** Sends opaque bytes, and again under the same id until the server has said that it has them. */
export async function send(
  from: Session,
  conversation: string,
  text: string,
): Promise<{ sequence: bigint }> {
  const messageId = randomBytes(16).toString('hex');
  const payload = new TextEncoder().encode(text);
  return until('a message to be stored', 20, () =>
    from
      .unary(
        MessagingService.method.sendMessage,
        { conversation, messageId, payload },
        { timeoutMs: 2000 },
      )
      .catch((error: { retryable?: boolean }) => {
        if (!error.retryable) throw error;
        return undefined;
      }),
  );
}
