import { describe, expect, test } from 'vitest';

import { fromBase64Url, toBase64Url, toHex } from '../src/base/bytes.ts';
import { fromInvitationCode, toInvitationCode } from '../src/conversations/invitations.ts';

const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 37 + 251) % 256);

describe('base64 for addresses', () => {
  test('reads back, and is that of others', () => {
    for (let length = 0; length < 40; ++length) {
      const text = toBase64Url(bytes(length));
      expect(text).toBe(Buffer.from(bytes(length)).toString('base64url'));
      expect(fromBase64Url(text)).toEqual(bytes(length));
    }
  });

  test('is nothing where it is none', () => {
    for (const bad of ['a', 'abcde', 'ab=', 'a+bc', 'a/bc', 'a bc', 'äbcd', '\u0000abc']) {
      expect(fromBase64Url(bad).length, bad).toBe(0);
    }
  });
});

describe('the code of an invitation', () => {
  const name = `invitations/${toHex(bytes(16))}`;
  const secret = bytes(32).slice(16);
  const code = toInvitationCode(name, secret);

  test('reads back, with what stands around it on a line', () => {
    expect(code).toMatch(/^handrailinvitation1\.[A-Za-z0-9_-]{43}$/);
    expect(fromInvitationCode(`  ${code}\r\n`)).toEqual({ name, secret });
  });

  test('is refused when anything is missing, added or changed in form, and is not repeated', () => {
    const bad = [
      '',
      code.slice(0, -1),
      `${code}A`,
      `${code}AAAA`,
      code.slice(1),
      code.replace('handrailinvitation1', 'handrail1'),
      code.replace('.', ','),
      `${code.slice(0, -1)}=`,
      // The last letter has two bits that mean nothing: they are 0.
      `${code.slice(0, -1)}${code.endsWith('A') ? 'B' : 'x'}`,
      'x'.repeat(100_000),
    ];
    for (const one of bad) {
      const shown = one.slice(0, 30);
      expect(() => fromInvitationCode(one), shown).toThrow(RangeError);
      try {
        fromInvitationCode(one);
      } catch (error) {
        expect(String(error)).not.toContain(code.slice(-20));
      }
    }
  });
});
