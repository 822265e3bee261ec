// What is kept of messages so that they can be reported, and how that is done. Sealed like all of
// the state, and sent to nobody until the person reports.
import type { AttachmentDescriptor } from '../attachments/descriptor.ts';
import { fromHex, fromJsonBytes, newRequestId, toHex, toJsonBytes } from '../base/bytes.ts';
import { ReportReason } from '../gen/handrail/common/v1/report_pb.ts';
import type { Envelope } from '../gen/handrail/messaging/v1/messaging_pb.ts';
import { ReportService } from '../gen/handrail/messaging/v1/report_pb.ts';
import type { SealedStore, Transaction } from '../store/sealed_store.ts';
import type { Transport } from '../transport/transport.ts';
import { decodeContent } from './content.ts';
import type { Commitment } from './franking.ts';

/** So many of the newest messages of others can be reported, of each conversation. */
export const MAX_REPORTABLE = 500;
/** As the server takes them, in one report. */
const MAX_MESSAGES = 32;
const MAX_CONTENT_BYTES = 64 << 10;

/** What messages are reported for. */
export const REPORT_REASONS = {
  sexual: ReportReason.SEXUAL,
  financial: ReportReason.FINANCIAL,
  harassment: ReportReason.HARASSMENT,
  stalking: ReportReason.STALKING,
  discrimination: ReportReason.DISCRIMINATION,
  'medical-advice': ReportReason.MEDICAL_ADVICE,
  'offering-substances': ReportReason.OFFERING_SUBSTANCES,
  impersonation: ReportReason.IMPERSONATION,
  minor: ReportReason.MINOR,
  'self-harm-concern': ReportReason.SELF_HARM_CONCERN,
  other: ReportReason.OTHER,
} as const;

export type ReportReasonName = keyof typeof REPORT_REASONS;

export interface ReportOptions {
  readonly reason: ReportReasonName;
  /** In the person's own words, on one line; at most 2,000 bytes. */
  readonly note?: string;
  /** An id (newRequestId) of the caller's own, to repeat a report that was not answered. */
  readonly requestId?: string;
}

/** A message that can be reported. */
export interface ReportableMessage {
  /** The sender's id for it: another's may be the same. */
  readonly messageId: string;
  /** Its place, by which it is chosen. */
  readonly sequence: bigint;
  /** `members/{member}`. */
  readonly sender: string;
  readonly text: string;
  /** Files that go with it: a report discloses these descriptors too, and with them the keys. */
  readonly attachments?: readonly AttachmentDescriptor[];
  /** Milliseconds since 1970. */
  readonly time: number;
}

/** All that a report shows of a message. Bytes in hexadecimal digits. */
interface Evidence {
  readonly messageId: string;
  readonly sequence: string;
  readonly sender: string;
  readonly senderDevice: string;
  readonly seconds: string;
  readonly nanos: number;
  readonly content: string;
  readonly key: string;
  readonly commitment: string;
  readonly previous: string;
  readonly stamp: string;
  readonly keyId: string;
}

const COUNT = 'evidence-count/';
const EVIDENCE = 'evidence/';

const slotName = (conversation: string, count: number) =>
  `${EVIDENCE}${conversation}/${count % MAX_REPORTABLE}`;

/**
 * Keeps what a report of this message would need, in the place of the oldest that is kept. False
 * where there is nothing to report it with: the server has not stamped it, or it commits to
 * something else than it says.
 */
export async function keepEvidence(
  transaction: Transaction,
  envelope: Envelope,
  content: Uint8Array,
  franking: Commitment | undefined,
): Promise<boolean> {
  const { conversation, franking: stamped, createTime } = envelope;
  if (franking === undefined || stamped === undefined || createTime === undefined) return false;
  const evidence: Evidence = {
    messageId: envelope.messageId,
    sequence: envelope.sequence.toString(),
    sender: envelope.sender,
    senderDevice: envelope.senderDevice,
    seconds: createTime.seconds.toString(),
    nanos: createTime.nanos,
    content: toHex(content),
    key: toHex(franking.key),
    commitment: toHex(franking.commitment),
    previous: toHex(stamped.previousCommitment),
    stamp: toHex(stamped.stamp),
    keyId: stamped.keyId,
  };
  const kept = await transaction.get(COUNT + conversation);
  const count = kept === undefined ? 0 : fromJsonBytes<number>(kept);
  transaction.put(COUNT + conversation, toJsonBytes(count + 1));
  transaction.put(slotName(conversation, count), toJsonBytes(evidence));
  return true;
}

/** The messages of others in a conversation that this device has the evidence of, in order. */
export async function reportable(
  store: SealedStore,
  conversation: string,
): Promise<ReportableMessage[]> {
  return (await evidenceOf(store, conversation)).map((evidence) => {
    const { text = '', attachments } = decodeContent(fromHex(evidence.content)) ?? {};
    return {
      messageId: evidence.messageId,
      sequence: BigInt(evidence.sequence),
      sender: evidence.sender,
      text,
      ...(attachments && { attachments }),
      time: Number(evidence.seconds) * 1000 + Math.trunc(evidence.nanos / 1e6),
    };
  });
}

/**
 * Reports the messages at these places; gives `reports/{report}`. By their places, since an id of a
 * message is unique among those of its sender alone. Errors: RangeError for one that cannot be reported
 * from here, for none, for more than 32, or for more than 64 KiB; those of the call.
 */
export async function report(
  { transport, store }: { readonly transport: Transport; readonly store: SealedStore },
  conversation: string,
  sequences: readonly bigint[],
  { reason, note = '', requestId = newRequestId() }: ReportOptions,
): Promise<string> {
  const wanted = new Set(sequences.map(String));
  const all = await evidenceOf(store, conversation);
  const chosen = all.filter(({ sequence }) => wanted.has(sequence));
  if (chosen.length < wanted.size) throw new RangeError('a message cannot be reported from here');
  if (chosen.length < 1 || chosen.length > MAX_MESSAGES) {
    throw new RangeError(`a report has 1 to ${MAX_MESSAGES} messages`);
  }
  const messages = chosen.map(shown);
  const bytes = messages.reduce((sum, { content }) => sum + content.length, 0);
  if (bytes > MAX_CONTENT_BYTES) {
    throw new RangeError('the messages are too long for one report; report some of them apart');
  }
  const answer = await transport.unary(ReportService.method.reportMessages, {
    conversation,
    reason: REPORT_REASONS[reason],
    note,
    messages,
    requestId,
  });
  return answer.report;
}

function shown(evidence: Evidence) {
  return {
    sequence: BigInt(evidence.sequence),
    sender: evidence.sender,
    senderDevice: evidence.senderDevice,
    createTime: { seconds: BigInt(evidence.seconds), nanos: evidence.nanos },
    content: fromHex(evidence.content),
    frankingKey: fromHex(evidence.key),
    commitment: fromHex(evidence.commitment),
    previousCommitment: fromHex(evidence.previous),
    stamp: fromHex(evidence.stamp),
    keyId: evidence.keyId,
  };
}

async function evidenceOf(store: SealedStore, conversation: string): Promise<Evidence[]> {
  const all: Evidence[] = [];
  for (const name of await store.list(`${EVIDENCE}${conversation}/`)) {
    const bytes = await store.get(name);
    if (bytes !== undefined) all.push(fromJsonBytes<Evidence>(bytes));
  }
  const place = ({ sequence }: Evidence) => BigInt(sequence);
  return all.sort((a, b) => (place(a) < place(b) ? -1 : 1));
}
