// What runs in Node and in browsers alike. Node's transport and store are in `@handrail/client/node`,
// those of browsers in `@handrail/client/browser`.
export * from './engine/index.ts';
export { AttachmentError, Attachments } from './attachments/attachments.ts';
export type {
  AttachmentFault,
  AttachmentsOptions,
  DownloadOptions,
  FileInfo,
  TransferOptions,
  Upload,
} from './attachments/attachments.ts';
export { MAX_FILE_BYTES } from './attachments/chunks.ts';
export type { AttachmentDescriptor } from './attachments/descriptor.ts';
export { blobSource, bytesSource } from './attachments/source.ts';
export type { AttachmentSource } from './attachments/source.ts';
export { newRequestId } from './base/bytes.ts';
export { Conversations } from './conversations/conversations.ts';
export type { ConversationsOptions } from './conversations/conversations.ts';
export { DeviceLogs } from './conversations/device_logs.ts';
export type {
  DeviceLogRecord,
  DeviceLogsOptions,
  LoggedDevice,
} from './conversations/device_logs.ts';
export { DeviceTrust } from './conversations/device_trust.ts';
export { ConversationError } from './conversations/events.ts';
export type {
  BrokenDeviceLog,
  ConversationFault,
  ConversationsHandler,
  DeviceLogFault,
  DevicesChange,
  RefusedMessage,
  SentMessage,
  TextMessage,
  UnreadableMessage,
  UnreadableReason,
} from './conversations/events.ts';
export type { MadeInvitation } from './conversations/invitations.ts';
export { MAX_REPORTABLE, REPORT_REASONS } from './conversations/reports.ts';
export type {
  ReportOptions,
  ReportReasonName,
  ReportableMessage,
} from './conversations/reports.ts';
export { Inbox } from './delivery/inbox.ts';
export type { InboxEnd, InboxHandler, InboxOptions, InboxStatus } from './delivery/inbox.ts';
export { KeyPackages } from './keys/key_packages.ts';
export type { KeyPackagesOptions } from './keys/key_packages.ts';
export { deviceIdentity, proveDevice } from './session/device.ts';
export type { DeviceIdentity } from './session/device.ts';
export { Session } from './session/session.ts';
export type { SessionOptions } from './session/session.ts';
export { DEFAULT_COST, MIN_PASSPHRASE_LENGTH, SealError } from './store/passphrase.ts';
export type { KdfCost, SealFault } from './store/passphrase.ts';
export { SealedStore } from './store/sealed_store.ts';
export type { SealedStoreOptions, Transaction } from './store/sealed_store.ts';
export { StoreConflict, StoreError } from './store/store.ts';
export type { Change, Next, Store, StoredRecord, StoreFault } from './store/store.ts';
export { HandrailError } from './transport/errors.ts';
export type { FieldViolation, StatusCode } from './transport/errors.ts';
export type { CallOptions, Transport } from './transport/transport.ts';
