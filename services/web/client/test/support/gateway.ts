import type { DescMessage, DescMethodServerStreaming, DescMethodUnary, DescService } from '@bufbuild/protobuf';
import type { Transport as Wire } from '@connectrpc/connect';
import { Code, ConnectError } from '@connectrpc/connect';
import { connectNodeAdapter, createGrpcTransport } from '@connectrpc/connect-node';

import {
  AttachmentService,
  GroupService,
  IdentityService,
  InvitationService,
  KeyService,
  MessagingService,
} from '../../src/api.ts';
import type { Endpoints } from '../../src/node.ts';
import type { Gateway } from './browser.ts';

/** What goes on to the service, of all that a browser sends. */
function headersOf(from: Headers): Headers {
  const to = new Headers();
  const token = from.get('authorization');
  if (token !== null) to.set('authorization', token);
  return to;
}

/** The service's answer without its transport's own headers, which are not ours to repeat. */
function relayed(error: unknown): ConnectError {
  const failed = ConnectError.from(error);
  const clean = new ConnectError(failed.rawMessage, failed.code);
  clean.details = failed.details;
  return clean;
}

function unary(method: DescMethodUnary<DescMessage, DescMessage>, wire: Wire) {
  return async (request: never, { signal, timeoutMs, requestHeader }: Context) => {
    try {
      const headers = headersOf(requestHeader);
      return (await wire.unary(method, signal, timeoutMs(), headers, request)).message;
    } catch (error) {
      throw relayed(error);
    }
  };
}

function stream(method: DescMethodServerStreaming<DescMessage, DescMessage>, wire: Wire) {
  return async function* (request: never, { signal, requestHeader }: Context) {
    const one = (async function* () {
      yield request;
    })();
    try {
      const headers = headersOf(requestHeader);
      yield* (await wire.stream(method, signal, undefined, headers, one)).message;
    } catch (error) {
      throw relayed(error);
    }
  };
}

function handlersOf(service: DescService, wire: Wire): Record<string, unknown> {
  const handlers: Record<string, unknown> = {};
  for (const method of service.methods) {
    if (method.methodKind === 'unary') {
      handlers[method.localName] = unary(method as DescMethodUnary, wire);
    } else if (method.methodKind === 'server_streaming') {
      handlers[method.localName] = stream(method as DescMethodServerStreaming, wire);
    } else {
      handlers[method.localName] = () => {
        throw new ConnectError('not for browsers', Code.Unimplemented);
      };
    }
  }
  return handlers;
}

interface Context {
  readonly signal: AbortSignal;
  readonly requestHeader: Headers;
  readonly timeoutMs: () => number | undefined;
}

/** gRPC-Web on one side, the services on the other: what stands before them for a browser. */
export function gatewayTo(endpoints: Endpoints): Gateway {
  const to = (endpoint: string) => createGrpcTransport({ baseUrl: `http://${endpoint}` });
  const [profiles, messaging] = [to(endpoints.profiles), to(endpoints.messaging)];
  return connectNodeAdapter({
    connect: false,
    grpc: false,
    routes: (router) => {
      router.service(IdentityService, handlersOf(IdentityService, profiles));
      router.service(AttachmentService, handlersOf(AttachmentService, messaging));
      router.service(GroupService, handlersOf(GroupService, messaging));
      router.service(InvitationService, handlersOf(InvitationService, messaging));
      router.service(KeyService, handlersOf(KeyService, messaging));
      router.service(MessagingService, handlersOf(MessagingService, messaging));
    },
  });
}
