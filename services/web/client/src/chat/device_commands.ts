// Devices: to begin with one, to add and to remove others.
import { timestampDate } from '@bufbuild/protobuf/wkt';

import { newRequestId } from '../base/bytes.ts';
import type { DeviceLogRecord, DeviceLogs } from '../conversations/device_logs.ts';
import { IdentityService } from '../gen/handrail/profiles/v1/identity_pb.ts';
import type { Device } from '../gen/handrail/profiles/v1/identity_pb.ts';
import { deviceIdentity, proveDevice } from '../session/device.ts';
import { Session } from '../session/session.ts';
import type { SealedStore } from '../store/sealed_store.ts';
import { sleep } from '../transport/backoff.ts';
import { HandrailError } from '../transport/errors.ts';
import type { Transport } from '../transport/transport.ts';
import { Chat, openState, orStopped, patiently } from './chat.ts';
import type { Setting } from './chat.ts';
import { fromCode, toCode } from './code.ts';
import { EXIT, Fault, Interrupted, faultOf, mayPass, usageFault } from './faults.ts';
import { choosePlace, transportTo } from './place.ts';
import { brokenLogWords, short, whoseWord } from './words.ts';

const PAGE_SIZE = 100;
const MAX_PAGES = 10;

/** A code is good for a minute; another one is shown before that. */
const CODE_LIFE_MS = 50_000;
/** How often it is asked whether the code was used. */
const FIRST_ASK_MS = 500;
const LAST_ASK_MS = 3_000;

/** Makes this device, of somebody new. Again: says who it is. */
export async function makeNew(setting: Setting): Promise<void> {
  const store = await openState(setting, true);
  const transport = await dial(setting, store);
  const session = await patiently(setting, () => Session.register(transport, store));
  await ready(setting, store, session);
}

/** Makes this device, of somebody who has another one already, which adds it. */
export async function join(setting: Setting): Promise<void> {
  const store = await openState(setting, true);
  const transport = await dial(setting, store);
  await ready(setting, store, await untilAdded(setting, transport, store));
}

async function dial(setting: Setting, store: SealedStore): Promise<Transport> {
  const place = await choosePlace(store, setting.line.place);
  return patiently(setting, () => transportTo(place));
}

/** Publishes what lets others take this device into conversations, and says who it is. */
async function ready(setting: Setting, store: SealedStore, session: Session): Promise<void> {
  const chat = await Chat.over(setting, store, session);
  const { output } = setting;
  output.note({ event: 'publishing' }, 'Making keys with which others can reach this device …');
  await patiently(setting, () => chat.keyPackages.refill());
  const { device, member } = chat;
  const { state, verb } = setting.line;
  const words =
    `This device is ready.\n  device  ${device}\n  person  ${member}\n  folder  ${state}\n` +
    (verb === 'join'
      ? 'The person must be the one that your other device shows (handrail-chat whoami). Your\n' +
        'conversations open here as soon as any other device in them is online.'
      : 'Next: find somebody to talk to (handrail match, offers), then handrail-chat talk.');
  output.tell({ event: 'ready', device, member, state }, words);
  await chat.close();
}

async function untilAdded(
  setting: Setting,
  transport: Transport,
  store: SealedStore,
): Promise<Session> {
  const { line, output, signal } = setting;
  const giveUp = Date.now() + line.waitMs;
  let codeEnds = 0;
  for (let pauseMs = FIRST_ASK_MS; ; pauseMs = Math.min(2 * pauseMs, LAST_ASK_MS)) {
    try {
      return await orStopped(Session.signIn(transport, store), signal);
    } catch (error) {
      const unknown = error instanceof HandrailError && error.reason === 'SIGNATURE_INVALID';
      if (!unknown && !mayPass(error)) throw error;
    }
    if (Date.now() > giveUp) {
      const todo = 'Run handrail-chat join again; it goes on with the same device.';
      throw new Fault(EXIT.later, 'Nobody has added this device.', todo, 'NOT_ADDED');
    }
    if (Date.now() > codeEnds) {
      const identity = await deviceIdentity(store);
      const code = toCode(await patiently(setting, () => proveDevice(transport, identity)));
      codeEnds = Date.now() + CODE_LIFE_MS;
      const words =
        'On a device that you have already, within a minute:\n\n' +
        `  handrail-chat add-device ${code}\n`;
      output.tell({ event: 'code', code, seconds: CODE_LIFE_MS / 1000 }, words);
    }
    await sleep(pauseMs, signal);
    if (signal.aborted) {
      throw new Interrupted('Stopped. Run handrail-chat join again to go on with this device.');
    }
  }
}

/** Adds another device, with the code that it shows. */
export async function addDevice(setting: Setting): Promise<void> {
  const proof = fromCode(setting.line.what ?? '');
  const chat = await Chat.open(setting);
  const session = await patiently(setting, () => chat.transport.session());
  const requestId = newRequestId();
  const device = await patiently(setting, () => session.addDevice(proof, requestId));
  const words =
    `Added: ${device.name}. It is yours now, with all that you can do.\n` +
    `It shows the person ${session.member}: if it shows another, remove it at once.\n` +
    'It is let into your conversations by the next of their devices that is online ' +
    '(handrail-chat talk).';
  setting.output.tell({ event: 'added', device: device.name, member: session.member }, words);
  await chat.close();
}

async function devicesOf(chat: Chat): Promise<Device[]> {
  const devices: Device[] = [];
  let pageToken = '';
  for (let page = 0; page < MAX_PAGES; ++page) {
    const request = { pageSize: PAGE_SIZE, pageToken };
    const answer = await chat.transport.unary(IdentityService.method.listDevices, request);
    devices.push(...answer.devices);
    pageToken = answer.nextPageToken;
    if (pageToken === '') break;
  }
  return devices;
}

/** Lists the devices of this person, or of all who talk in a conversation. */
export async function listDevices(setting: Setting): Promise<void> {
  const chat = await Chat.open(setting);
  if (setting.line.what !== undefined) {
    await listLogs(chat, await chat.theConversation());
    return chat.close();
  }
  for (const { name, createTime, revokeTime } of await patiently(setting, () => devicesOf(chat))) {
    const since = createTime && timestampDate(createTime).toISOString();
    const removed = revokeTime && timestampDate(revokeTime).toISOString();
    const own = name === chat.device;
    const state = removed === undefined ? 'in use' : `removed ${removed.slice(0, 10)}`;
    const words = `${name}  since ${since?.slice(0, 10)}  ${state}${own ? '  (this device)' : ''}`;
    setting.output.tell({ event: 'device', device: name, this_device: own, since, removed }, words);
  }
  await chat.close();
}

/** Who has left has no log for us; what was read before is still known. */
async function lookAt(
  logs: DeviceLogs,
  member: string,
): Promise<Pick<DeviceLogRecord, 'devices' | 'broken'>> {
  try {
    return await logs.look(member);
  } catch (error) {
    if (!(error instanceof HandrailError) || error.code !== 'NOT_FOUND') throw error;
    return (await logs.known(member)) ?? { devices: [] };
  }
}

/** What the device logs of everybody in a conversation say. */
async function listLogs(chat: Chat, conversation: string): Promise<void> {
  const { setting, people } = chat;
  const { output } = setting;
  await patiently(setting, () => chat.listConversations());
  const { deviceLogs } = chat.conversations();
  const names = await people.namesIn(conversation);
  for (const member of (await chat.history.known(conversation))?.members ?? []) {
    const log = await patiently(setting, () => lookAt(deviceLogs, member));
    const owner = names.member(member);
    for (const { device, publicKey, added, removed } of log.devices) {
      const since = new Date(added).toISOString();
      const until = removed === undefined ? undefined : new Date(removed).toISOString();
      const own = device === chat.device;
      const state = until ? `removed ${until.slice(0, 10)}` : 'in use';
      const words =
        `${device}  ${own ? 'this device' : whoseWord(owner)}  since ${since.slice(0, 10)}  ${state}` +
        `  key ${publicKey.slice(0, 16)}`;
      const about = { event: 'device', device, this_device: own, since, removed: until };
      output.tell({ ...about, member, owner, public_key: publicKey }, words);
    }
    if (log.broken !== undefined) {
      const event = { event: 'device-log-broken', member, fault: log.broken };
      output.tell(event, brokenLogWords(event, names));
    }
  }
}

/** Removes a device of this person, for good. */
export async function removeDevice(setting: Setting): Promise<void> {
  const { line, output } = setting;
  const begin = (line.what ?? '').replace(/^devices\//, '');
  if (!/^[0-9a-f]{4,32}$/.test(begin)) {
    throw usageFault(`"${line.what}" is no name of a device.`, 'See: handrail-chat devices');
  }
  const chat = await Chat.open(setting);
  const all = await patiently(setting, () => devicesOf(chat));
  const fitting = all.filter(
    ({ name, revokeTime }) => name.startsWith(`devices/${begin}`) && revokeTime === undefined,
  );
  const [device] = fitting;
  if (device === undefined || fitting.length > 1) {
    const what = fitting.length > 1 ? 'Several devices begin so.' : 'No device of yours begins so.';
    throw new Fault(EXIT.failed, what, 'See: handrail-chat devices', 'NOT_FOUND');
  }
  if (device.name === chat.device && !line.yes) {
    throw usageFault(
      'That is this device. Removed, it can do nothing any more; if it is your only one, nobody ' +
        'can get you back in.',
      'If that is what you want: the same again, with --yes',
    );
  }
  const session = await patiently(setting, () => chat.transport.session());
  const requestId = newRequestId();
  await patiently(setting, () => session.revokeDevice(device.name, requestId));
  const words =
    `Removed: ${device.name}.\nThe server gives it nothing from now on, and the next device that ` +
    'is online changes\nthe keys of each conversation. What it has read before is still on it.';
  output.tell({ event: 'removed', device: device.name }, words);
  if (device.name !== chat.device) await putOut(chat);
  await chat.close();
}

/** Changes the keys of the conversations where this device can do so now; others do the rest. */
async function putOut(chat: Chat): Promise<void> {
  const conversations = chat.conversations();
  for (const conversation of await chat.namesHere(true)) {
    try {
      await orStopped(conversations.tidy(conversation), chat.setting.signal);
    } catch (error) {
      if (error instanceof Interrupted) throw error;
      const { message, reason } = faultOf(error);
      const words = `Not in conversation ${short(conversation)} yet: ${message}`;
      chat.setting.output.note({ event: 'waiting', conversation, reason }, words);
    }
  }
}

/** Says who this device is, without asking the server. */
export async function whoAmI(setting: Setting): Promise<void> {
  const store = await openState(setting, false);
  const { device, member } = await deviceIdentity(store);
  if (device === undefined || member === undefined) {
    const todo = 'Go on where you stopped: handrail-chat new, or handrail-chat join';
    throw new Fault(EXIT.locked, 'This device is not anybody’s yet.', todo, 'NO_DEVICE');
  }
  const words = `device  ${device}\nperson  ${member}\nfolder  ${setting.line.state}`;
  setting.output.tell({ event: 'whoami', device, member, state: setting.line.state }, words);
  await store.close();
}
