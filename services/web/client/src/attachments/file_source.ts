import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

import type { AttachmentSource } from './source.ts';

/** The first `size` bytes of a file that is open. Errors: those of the file system. */
export function handleSource(file: FileHandle, size: number): AttachmentSource {
  return {
    size,
    read: async (offset, length) => {
      const buffer = new Uint8Array(length);
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await file.read(buffer, filled, length - filled, offset + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return buffer.subarray(0, filled);
    },
  };
}

/** A file in Node. Close it when it is uploaded. Errors: those of the file system. */
export async function fileSource(
  path: string,
): Promise<AttachmentSource & { close(): Promise<void> }> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    return { ...handleSource(file, size), close: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}
