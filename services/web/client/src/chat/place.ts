// Where the state of a device lies, and where its server is.
import { chmod, mkdir, readFile, readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { fromJsonBytes, toJsonBytes } from '../base/bytes.ts';
import type { SealedStore } from '../store/sealed_store.ts';
import { createNodeTransport } from '../transport/node.ts';
import type { Endpoints } from '../transport/node.ts';
import type { Transport } from '../transport/transport.ts';
import type { CommandLine } from './command_line.ts';
import { EXIT, Fault } from './faults.ts';

const OWN_FILES = /^(segment|snapshot|new)-/;
const OTHERS = 0o077;

const isMissing = (error: unknown) => (error as NodeJS.ErrnoException).code === 'ENOENT';

/** What is in the folder; undefined when it is not there. */
async function entriesOf(folder: string): Promise<string[] | undefined> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isMissing(error)) return undefined;
    const { code } = error as NodeJS.ErrnoException;
    const todo = 'Name another folder with --state FOLDER, or HANDRAIL_CHAT_STATE.';
    throw new Fault(EXIT.locked, `The folder ${folder} cannot be used (${code}).`, todo);
  }
}

/** Sees to it that the folder of a device's state is there, and is nobody else's to read. */
export async function prepareStateFolder(folder: string, make: boolean): Promise<void> {
  const entries = await entriesOf(folder);
  const ours = entries?.some((name) => OWN_FILES.test(name)) ?? false;
  if (!make && !ours) {
    throw new Fault(
      EXIT.locked,
      `There is no device in ${folder} yet.`,
      'Somebody new: handrail-chat new. Another device of yours: handrail-chat join. Is it ' +
        'elsewhere? --state FOLDER',
      'NO_DEVICE',
    );
  }
  if (entries === undefined) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return;
  }
  if (!ours && entries.length > 0) {
    const todo = 'Name an empty folder, or one that is not there yet, with --state FOLDER.';
    throw new Fault(EXIT.locked, `${folder} holds other things already.`, todo, 'NOT_EMPTY');
  }
  if (((await stat(folder)).mode & OTHERS) !== 0) await chmod(folder, 0o700);
}

/** Where a server is. */
type Place =
  /** The data folder of `handrail up`, which says where its services listen now. */
  | { readonly data: string }
  | { readonly server: string; readonly ca?: string };

const RECORD = 'talk/place';
const DEFAULT_DATA = 'handrail-data';

/** What was said now, else what was said the last time. Kept for the next time. */
export async function choosePlace(store: SealedStore, said: CommandLine['place']): Promise<Place> {
  const kept = await store.get(RECORD);
  const before = kept === undefined ? undefined : fromJsonBytes<Place>(kept);
  const place = placeFrom(said, before);
  if (JSON.stringify(place) !== JSON.stringify(before)) {
    await store.transact(async (transaction) => transaction.put(RECORD, toJsonBytes(place)));
  }
  return place;
}

function placeFrom({ data, server, ca }: CommandLine['place'], before: Place | undefined): Place {
  if (data !== undefined) return { data: resolve(data) };
  const withCa = ca === undefined ? {} : { ca: resolve(ca) };
  if (server !== undefined) return { server, ...withCa };
  if (before === undefined) return { data: resolve(DEFAULT_DATA) };
  return 'server' in before ? { ...before, ...withCa } : before;
}

/** Nothing is dialled yet. Fault when nobody knows where the server is. */
export async function transportTo(place: Place): Promise<Transport> {
  if ('data' in place) return createNodeTransport(await endpointsOf(place.data));
  const { server, ca } = place;
  const everywhere = { profiles: server, matching: server, messaging: server };
  if (ca === undefined) return createNodeTransport(everywhere);
  const certificateAuthority = await readFile(ca, 'utf8').catch(() => {
    const todo = 'Name the file of the certificates with --ca FILE.';
    throw new Fault(EXIT.usage, `The certificates in ${ca} cannot be read.`, todo, 'USAGE');
  });
  return createNodeTransport(everywhere, { certificateAuthority });
}

async function endpointsOf(data: string): Promise<Endpoints> {
  const path = join(data, 'endpoints.json');
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (!isMissing(error)) throw error;
    throw new Fault(
      EXIT.later,
      `No server runs on ${data}.`,
      'Start one: handrail --data FOLDER up. Or say where it is: --data FOLDER, --server URL',
      'NO_SERVER',
    );
  });
  return JSON.parse(text) as Endpoints;
}
