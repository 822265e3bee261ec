// A small client made from the protos alone: it shares no code with the servers.
import crypto from 'node:crypto';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, '../../..');

function load() {
  const definition = protoLoader.loadSync(
    [
      'handrail/profiles/v1/identity.proto',
      'handrail/profiles/v1/profile.proto',
      'handrail/profiles/v1/safety.proto',
      'handrail/matching/v1/matching.proto',
      'handrail/messaging/v1/messaging.proto',
    ],
    {
      includeDirs: [path.join(root, 'proto'), path.join(here, 'node_modules/google-proto-files')],
      keepCase: true,
      enums: String,
      longs: Number,
      defaults: true,
      oneofs: true,
    },
  );
  return grpc.loadPackageDefinition(definition).handrail;
}

export const api = load();
export const {status} = grpc;

// Reads the reason out of google.rpc.Status in the trailers, by hand: reason is the first text of
// ErrorInfo, and reasons are the only upper-case words of this form in it.
export function reasonOf(error) {
  const details = error.metadata?.get('grpc-status-details-bin')?.[0];
  if (!details) return '';
  const text = Buffer.from(details).toString('latin1');
  const at = text.indexOf('google.rpc.ErrorInfo');
  const match = /[A-Z][A-Z_]{3,}/.exec(text.slice(at + 'google.rpc.ErrorInfo'.length));
  return match ? match[0] : '';
}

export function connect(endpoints) {
  const insecure = grpc.credentials.createInsecure();
  return {
    identity: new api.profiles.v1.IdentityService(endpoints.profiles, insecure),
    profile: new api.profiles.v1.ProfileService(endpoints.profiles, insecure),
    safety: new api.profiles.v1.SafetyService(endpoints.profiles, insecure),
    matching: new api.matching.v1.MatchingService(endpoints.matching, insecure),
    messaging: new api.messaging.v1.MessagingService(endpoints.messaging, insecure),
  };
}

export function call(stub, method, request, {token, deadlineMs = 10000} = {}) {
  const metadata = new grpc.Metadata();
  if (token) metadata.set('authorization', `Bearer ${token}`);
  const options = deadlineMs === null ? {} : {deadline: Date.now() + deadlineMs};
  return new Promise((resolve, reject) => {
    stub[method](request, metadata, options, (error, response) =>
      error ? reject(error) : resolve(response),
    );
  });
}

export function stream(stub, method, request, {token, deadlineMs = 30000} = {}) {
  const metadata = new grpc.Metadata();
  metadata.set('authorization', `Bearer ${token}`);
  return stub[method](request, metadata, {deadline: Date.now() + deadlineMs});
}

export const newId = () => crypto.randomBytes(16).toString('hex');

// A member on one device.
export class Person {
  static async register(services) {
    const person = new Person(services);
    const answer = await call(services.identity, 'RegisterDevice', {proof: await person.prove()});
    person.keep(answer.access_token);
    return person;
  }

  constructor(services) {
    this.services = services;
    const pair = crypto.generateKeyPairSync('ed25519');
    this.privateKey = pair.privateKey;
    this.publicKey = Buffer.from(pair.publicKey.export({format: 'jwk'}).x, 'base64url');
  }

  async prove() {
    const answer = await call(this.services.identity, 'CreateChallenge', {
      public_key: this.publicKey,
    });
    const message = Buffer.concat([Buffer.from(answer.signing_context), answer.challenge]);
    return {
      public_key: this.publicKey,
      challenge: answer.challenge,
      signature: crypto.sign(null, message, this.privateKey),
    };
  }

  async signIn() {
    this.keep(await call(this.services.identity, 'CreateToken', {proof: await this.prove()}));
  }

  keep(accessToken) {
    this.token = accessToken.token;
    this.member = accessToken.member;
    this.device = accessToken.device;
  }

  call(service, method, request, options = {}) {
    return call(this.services[service], method, request, {token: this.token, ...options});
  }

  stream(service, method, request) {
    return stream(this.services[service], method, request, {token: this.token});
  }

  async agree() {
    for (const purpose of ['CONSENT_PURPOSE_MATCHING', 'CONSENT_PURPOSE_HEALTH_DATA']) {
      await this.call('profile', 'GrantConsent', {
        purpose,
        notice_version: 'interop-1',
        notice_language: 'en',
        request_id: newId(),
      });
    }
  }
}

export const somebody = {
  languages: ['en'],
  time_zone: 'Europe/London',
  availability: [1, 2, 3, 4, 5].map((isoWeekday) => ({
    iso_weekday: isoWeekday,
    start_minute: 18 * 60,
    length_minutes: 180,
  })),
  modalities: ['MODALITY_APP_TEXT'],
  gender: 'GENDER_WOMAN',
  adult_attested: true,
};
