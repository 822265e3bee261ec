// What people and scripts are told of a file: never its key.
import type { AttachmentDescriptor } from '../attachments/descriptor.ts';

const UNITS = ['kB', 'MB', 'GB'] as const;

/** As people say it: 1 byte, 640 bytes, 1.2 kB, 34 MB. Thousands, as file managers count. */
export function sizeWord(bytes: number): string {
  if (bytes < 1000) return bytes === 1 ? '1 byte' : `${bytes} bytes`;
  let value = bytes;
  let unit = -1;
  // 999,950 would be shown as 1000 kB.
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = value < 9.95 ? value.toFixed(1).replace(/\.0$/, '') : value.toFixed(0);
  return `${digits} ${UNITS[unit]}`;
}

/** Size, and what it is where its name does not say so. */
export function aboutFile({ name, size, mediaType }: AttachmentDescriptor): string {
  const told = /[^.]\.[^.\s]{1,8}$/.test(name) || mediaType === 'application/octet-stream';
  return told ? sizeWord(size) : `${sizeWord(size)}, ${mediaType}`;
}

/** A file as scripts get it. */
export function fileEvent({ id, name, size, mediaType }: AttachmentDescriptor) {
  return { id, name, size, media_type: mediaType };
}

// What is sent often, by the end of its name; RFC 6838 names.
const TYPES: Readonly<Record<string, string>> = {
  avif: 'image/avif',
  csv: 'text/csv',
  docx: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
  gif: 'image/gif',
  heic: 'image/heic',
  html: 'text/html',
  ics: 'text/calendar',
  jpeg: 'image/jpeg',
  jpg: 'image/jpeg',
  json: 'application/json',
  m4a: 'audio/mp4',
  md: 'text/markdown',
  mp3: 'audio/mpeg',
  mp4: 'video/mp4',
  odt: 'application/vnd.oasis.opendocument.text',
  ogg: 'audio/ogg',
  pdf: 'application/pdf',
  png: 'image/png',
  svg: 'image/svg+xml',
  txt: 'text/plain',
  webm: 'video/webm',
  webp: 'image/webp',
  zip: 'application/zip',
};

/** What a file is, as far as the end of its name tells. */
export function mediaTypeOf(name: string): string {
  const ending = /\.([a-z0-9]+)$/i.exec(name)?.[1]?.toLowerCase() ?? '';
  return Object.hasOwn(TYPES, ending) ? TYPES[ending]! : 'application/octet-stream';
}
