import type { MessageInitShape } from '@bufbuild/protobuf';

import type { DeviceProofSchema } from '../gen/handrail/profiles/v1/identity_pb.ts';
import { usageFault } from './faults.ts';

type Proof = MessageInitShape<typeof DeviceProofSchema>;
type WholeProof = Required<Pick<Proof, 'publicKey' | 'challenge' | 'signature'>>;

const PREFIX = 'handrail1.';
const KEY_BYTES = 32;
const CHALLENGE_BYTES = 32;
const SIGNATURE_BYTES = 64;

/**
 * A device's proof of its key as one word: the key, the challenge and the signature in base64url
 * after a prefix that names the form. `handrail person add-device` reads the same. Whoever uses it
 * first makes the device theirs; it holds nothing secret.
 */
export function toCode({ publicKey, challenge, signature }: Proof): string {
  const parts = [publicKey, challenge, signature].map((part) => part ?? new Uint8Array());
  return PREFIX + Buffer.concat(parts).toString('base64url');
}

/** The inverse. Fault with EXIT.usage for what is no code. */
export function fromCode(code: string): WholeProof {
  const text = code.trim();
  const bytes = new Uint8Array(Buffer.from(text.slice(PREFIX.length), 'base64url'));
  const whole = bytes.length === KEY_BYTES + CHALLENGE_BYTES + SIGNATURE_BYTES;
  const challengeEnd = KEY_BYTES + CHALLENGE_BYTES;
  const proof = {
    publicKey: bytes.slice(0, KEY_BYTES),
    challenge: bytes.slice(KEY_BYTES, challengeEnd),
    signature: bytes.slice(challengeEnd),
  };
  if (whole && text.startsWith(PREFIX) && toCode(proof) === text) return proof;
  throw usageFault(
    `That is no code of a device: one begins with ${PREFIX} and is longer than a line.`,
    'Copy all of what handrail-chat join shows on the new device.',
  );
}
