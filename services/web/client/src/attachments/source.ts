/** A file that is read piece by piece, from any place, as often as it takes. */
export interface AttachmentSource {
  /** In bytes. */
  readonly size: number;
  /** Exactly `length` bytes from `offset` on, both within the size. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** A File or Blob, of which only what is read comes into memory. */
export function blobSource(blob: Blob): AttachmentSource {
  return {
    size: blob.size,
    read: async (offset, length) =>
      new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer()),
  };
}

export function bytesSource(bytes: Uint8Array): AttachmentSource {
  return {
    size: bytes.length,
    read: async (offset, length) => bytes.subarray(offset, offset + length),
  };
}
