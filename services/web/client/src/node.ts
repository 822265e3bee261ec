export { fileSource } from './attachments/file_source.ts';
export { FileStore } from './store/file_store.ts';
export { createNodeTransport } from './transport/node.ts';
export type { Endpoints, NodeTransportOptions } from './transport/node.ts';
