// What the services say, as the protos have it: a schema for each message and a descriptor for each
// service, to be called through a Transport.
export * from './gen/handrail/common/v1/report_pb.ts';
export * from './gen/handrail/common/v1/traits_pb.ts';
export * from './gen/handrail/profiles/v1/identity_pb.ts';
export * from './gen/handrail/profiles/v1/profile_pb.ts';
export { SafetyService } from './gen/handrail/profiles/v1/safety_pb.ts';
export * from './gen/handrail/messaging/v1/attachment_pb.ts';
export * from './gen/handrail/messaging/v1/group_pb.ts';
export * from './gen/handrail/messaging/v1/invitation_pb.ts';
export * from './gen/handrail/messaging/v1/key_service_pb.ts';
export * from './gen/handrail/messaging/v1/messaging_pb.ts';
export * from './gen/handrail/messaging/v1/push_pb.ts';
export * from './gen/handrail/messaging/v1/report_pb.ts';
export { MatchingService, OfferState, TicketState } from './gen/handrail/matching/v1/matching_pb.ts';
