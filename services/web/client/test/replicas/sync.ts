// What matching tells messaging, said by a test: conversations for people who were never paired.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';

import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import type { DescMethodUnary, DescService } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { createGrpcTransport } from '@connectrpc/connect-node';

import { toHandrailError } from '../../src/transport/errors.ts';
import { withFolder } from '../support/folders.ts';

const PROTOS = join(import.meta.dirname, '../../../../../proto');
const GOOGLE_PROTOS = join(import.meta.dirname, '../../node_modules/google-proto-files');
const FILE = 'handrail/messaging/v1/conversation_sync.proto';

/** Apps do not speak this service, so nothing is generated for it. */
async function loadService(): Promise<DescService> {
  const bytes = await withFolder(async (folder) => {
    const file = join(folder, 'protos');
    const from = ['-I', PROTOS, '-I', GOOGLE_PROTOS, '--include_imports', FILE];
    execFileSync('protoc', [...from, '--descriptor_set_out', file]);
    return readFileSync(file);
  });
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes));
  const found = registry.getService('handrail.messaging.v1.ConversationSyncService');
  if (found === undefined) throw new Error(`no ConversationSyncService in ${FILE}`);
  return found;
}

let service: Promise<DescService> | undefined;

/** Opens a conversation of two members at the internal listener of a messaging process. */
export async function openConversation(
  socket: string,
  members: readonly [string, string],
): Promise<string> {
  service ??= loadService();
  const method = (await service).method['openConversation'] as DescMethodUnary;
  const wire = createGrpcTransport({
    baseUrl: 'http://localhost',
    nodeOptions: { createConnection: () => connect(socket) },
  });
  const request = {
    pairing: `pairings/${randomBytes(16).toString('hex')}`,
    members: [...members],
    requestId: randomBytes(16).toString('hex'),
  };
  const headers = { 'x-handrail-service': 'matching' };
  try {
    const answer = await wire.unary(method, undefined, 10_000, headers, request);
    return (answer.message as unknown as { conversation: string }).conversation;
  } catch (error) {
    throw toHandrailError(error);
  }
}
