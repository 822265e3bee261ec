import { Code, ConnectError } from '@connectrpc/connect';

import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from '../gen/google/rpc/error_details_pb.ts';

/** The canonical codes of gRPC, by name. */
export type StatusCode =
  | 'CANCELLED'
  | 'UNKNOWN'
  | 'INVALID_ARGUMENT'
  | 'DEADLINE_EXCEEDED'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'PERMISSION_DENIED'
  | 'RESOURCE_EXHAUSTED'
  | 'FAILED_PRECONDITION'
  | 'ABORTED'
  | 'OUT_OF_RANGE'
  | 'UNIMPLEMENTED'
  | 'INTERNAL'
  | 'UNAVAILABLE'
  | 'DATA_LOSS'
  | 'UNAUTHENTICATED';

const NAMES: Readonly<Record<Code, StatusCode>> = {
  [Code.Canceled]: 'CANCELLED',
  [Code.Unknown]: 'UNKNOWN',
  [Code.InvalidArgument]: 'INVALID_ARGUMENT',
  [Code.DeadlineExceeded]: 'DEADLINE_EXCEEDED',
  [Code.NotFound]: 'NOT_FOUND',
  [Code.AlreadyExists]: 'ALREADY_EXISTS',
  [Code.PermissionDenied]: 'PERMISSION_DENIED',
  [Code.ResourceExhausted]: 'RESOURCE_EXHAUSTED',
  [Code.FailedPrecondition]: 'FAILED_PRECONDITION',
  [Code.Aborted]: 'ABORTED',
  [Code.OutOfRange]: 'OUT_OF_RANGE',
  [Code.Unimplemented]: 'UNIMPLEMENTED',
  [Code.Internal]: 'INTERNAL',
  [Code.Unavailable]: 'UNAVAILABLE',
  [Code.DataLoss]: 'DATA_LOSS',
  [Code.Unauthenticated]: 'UNAUTHENTICATED',
};

/** What a HandrailError is made of. */
export interface ErrorParts {
  readonly code: StatusCode;
  readonly message: string;
  readonly reason?: string;
  readonly details?: Readonly<Record<string, string>>;
  readonly fields?: readonly FieldViolation[];
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** A field of the request that is at fault. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

/**
 * A call that failed. Decide by `reason`, which docs/errors.md lists; where it is empty, something
 * on the way answered before Handrail did, and `code` is all there is.
 */
export class HandrailError extends Error {
  readonly code: StatusCode;
  /** Of ErrorInfo, such as `QUEUE_FULL`; empty when the answer did not come from Handrail. */
  readonly reason: string;
  /** What else ErrorInfo says: names and numbers, such as the current epoch with ABORTED. */
  readonly details: Readonly<Record<string, string>>;
  readonly fields: readonly FieldViolation[];
  /** Wait at least this long before the call is repeated. */
  readonly retryAfterMs: number | undefined;

  constructor(parts: ErrorParts) {
    super(parts.message, { cause: parts.cause });
    this.name = 'HandrailError';
    this.code = parts.code;
    this.reason = parts.reason ?? '';
    this.details = parts.details ?? {};
    this.fields = parts.fields ?? [];
    this.retryAfterMs = parts.retryAfterMs;
  }

  /**
   * Whether the same call may succeed later. A write is repeated with the same request id: the
   * first attempt may have had its effect.
   */
  get retryable(): boolean {
    return (
      this.code === 'UNAVAILABLE' ||
      this.code === 'DEADLINE_EXCEEDED' ||
      (this.code === 'RESOURCE_EXHAUSTED' && this.retryAfterMs !== undefined)
    );
  }
}

// A connection that was lost on the way; every answer of Handrail has an ErrorInfo.
const LOST: readonly Code[] = [Code.Aborted, Code.Canceled, Code.Unknown];

/**
 * Whether the connection failed and not the call, where that has a code that blames the server: one
 * that is being stopped refuses streams that it has not looked at. The codes are Node's.
 */
function brokeOff({ cause }: ConnectError): boolean {
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : '';
  return typeof code === 'string' && code.startsWith('ERR_HTTP2_');
}

/** Any failure of a call, in our words. `signal` is the caller's own: who cancels, knows. */
export function toHandrailError(error: unknown, signal?: AbortSignal): HandrailError {
  if (error instanceof HandrailError) return error;
  const failed = ConnectError.from(error);
  const cause = error;
  if (signal?.aborted) {
    return new HandrailError({ code: 'CANCELLED', message: 'the call was cancelled', cause });
  }
  const info = failed.findDetails(ErrorInfoSchema)[0];
  if (info === undefined && (LOST.includes(failed.code) || brokeOff(failed))) {
    const message = `the connection was lost: ${failed.rawMessage}`;
    return new HandrailError({ code: 'UNAVAILABLE', message, cause });
  }
  const retry = failed.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return new HandrailError({
    code: NAMES[failed.code],
    message: failed.rawMessage,
    reason: info?.reason ?? '',
    details: info?.metadata ?? {},
    fields: failed
      .findDetails(BadRequestSchema)
      .flatMap((bad) => bad.fieldViolations)
      .map(({ field, description }) => ({ field, description })),
    retryAfterMs: retry && Number(retry.seconds) * 1000 + Math.ceil(retry.nanos / 1e6),
    cause,
  });
}
