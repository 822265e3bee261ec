import { sha256 } from '@noble/hashes/sha2.js';

import { fromBase64Url, fromHex, newRequestId, toBase64Url, toHex } from '../base/bytes.ts';
import { InvitationService } from '../gen/handrail/messaging/v1/invitation_pb.ts';
import type { Invitation } from '../gen/handrail/messaging/v1/invitation_pb.ts';
import type { Transport } from '../transport/transport.ts';

const PREFIX = 'handrailinvitation1.';
const COLLECTION = 'invitations/';
const ID_BYTES = 16;
const SECRET_BYTES = 16;

/** An invitation with what lets somebody in. */
export interface MadeInvitation {
  readonly invitation: Invitation;
  /**
   * For one person, and for nobody else's eyes: send it in a conversation that you have with them,
   * or show it to them. It is kept nowhere.
   */
  readonly code: string;
}

/** The name and the secret of an invitation as one word. */
export function toInvitationCode(name: string, secret: Uint8Array): string {
  const bytes = new Uint8Array(ID_BYTES + SECRET_BYTES);
  bytes.set(fromHex(name.slice(COLLECTION.length)));
  bytes.set(secret, ID_BYTES);
  return PREFIX + toBase64Url(bytes);
}

/** The inverse. RangeError for what is no such code, without a word of what it was. */
export function fromInvitationCode(code: string): { name: string; secret: Uint8Array } {
  const text = code.trim();
  const bytes = fromBase64Url(text.slice(PREFIX.length));
  const name = COLLECTION + toHex(bytes.subarray(0, ID_BYTES));
  const secret = bytes.slice(ID_BYTES);
  const whole = secret.length === SECRET_BYTES && toInvitationCode(name, secret) === text;
  if (whole) return { name, secret };
  throw new RangeError(`that is no invitation: one begins with ${PREFIX}`);
}

/** Group conversations at the server: who begins one, and who is let in. */
export class Invitations {
  constructor(private readonly transport: Transport) {}

  async begin(): Promise<string> {
    const { createGroupConversation } = InvitationService.method;
    const begun = { requestId: newRequestId() };
    return (await this.transport.unary(createGroupConversation, begun)).conversation;
  }

  async invite(conversation: string): Promise<MadeInvitation> {
    // The server is not told the secret before somebody shows it.
    const secret = crypto.getRandomValues(new Uint8Array(SECRET_BYTES));
    const invitation = await this.transport.unary(InvitationService.method.createInvitation, {
      conversation,
      secretDigest: sha256(secret),
      requestId: newRequestId(),
    });
    return { invitation, code: toInvitationCode(invitation.name, secret) };
  }

  async list(conversation: string): Promise<Invitation[]> {
    const { listInvitations } = InvitationService.method;
    return (await this.transport.unary(listInvitations, { conversation })).invitations;
  }

  async revoke(name: string): Promise<void> {
    const revoked = { name, requestId: newRequestId() };
    await this.transport.unary(InvitationService.method.revokeInvitation, revoked);
  }

  async accept(code: string): Promise<string> {
    const shown = { ...fromInvitationCode(code), requestId: newRequestId() };
    const { acceptInvitation } = InvitationService.method;
    return (await this.transport.unary(acceptInvitation, shown)).conversation;
  }
}
