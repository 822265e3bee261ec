#!/usr/bin/env node
// The edge's real nginx.conf in a real nginx, between an HTTP/2 client and stand-ins for the three
// services that say what reached them. Ends with "N passed, N failed".
import {execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import fs from 'node:fs';
import http2 from 'node:http2';
import os from 'node:os';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '../..');
const work = fs.mkdtempSync(path.join(os.tmpdir(), 'handrail-edge-'));
let passed = 0, failed = 0;
let edge;  // {port, process} once nginx was started
function expect(what, condition, seen = '') {
  if (condition) return void ++passed;
  ++failed;
  console.log(`FAILED: ${what}${seen === '' ? '' : `: ${JSON.stringify(seen)}`}`);
}

// --- stand-ins for the services ---------------------------------------------------------------

const areas = ['profiles', 'matching', 'messaging'];
const reached = {profiles: [], matching: [], messaging: []};  // headers of each call
async function standIn(area) {
  const server = http2.createServer();
  server.on('sessionError', () => {});
  server.on('stream', (stream, headers) => {
    reached[area].push(headers);
    stream.on('error', () => {});
    let bytes = 0;
    stream.on('data', chunk => {
      bytes += chunk.length;
      if (headers['x-echo']) stream.write(chunk);
    });
    stream.respond({':status': 200, 'content-type': 'application/grpc'}, {waitForTrailers: true});
    stream.on('wantTrailers', () =>
      stream.sendTrailers({'grpc-status': '0', 'x-area': area, 'x-bytes': String(bytes)}));
    stream.on('end', () => stream.end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

// --- the edge ---------------------------------------------------------------------------------

function freePort() {
  return new Promise(resolve => {
    const probe = http2.createServer().listen(0, '127.0.0.1', () => {
      const {port} = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

async function startEdge(ports) {
  const port = await freePort();
  const read = name => fs.readFileSync(path.join(root, 'deploy/edge', name), 'utf8');
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
    '-nodes', '-keyout', `${work}/tls.key`, '-out', `${work}/tls.crt`, '-days', '2', '-subj',
    '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'], {stdio: 'ignore'});
  // Only addresses and folders are not those of the real files.
  fs.writeFileSync(`${work}/nginx.conf`, read('nginx.conf').replaceAll('/tmp/handrail-edge', `${work}/nginx`)
    .replace('access_log /dev/stdout', `access_log ${work}/access.log`));
  fs.writeFileSync(`${work}/upstreams.conf`, areas.reduce((text, area, i) =>
    text.replace(`127.0.0.1:760${i + 1}`, `127.0.0.1:${ports[i]}`), read('local/upstreams.conf')));
  fs.writeFileSync(`${work}/listen.conf`, read('local/listen.conf')
    .replace('8443', `127.0.0.1:${port}`).replaceAll('/etc/handrail/edge-tls', work));
  const args = ['-e', 'stderr', '-c', `${work}/nginx.conf`];
  const test = execFileSync('nginx', [...args, '-t'], {stdio: 'pipe', encoding: 'utf8'});
  expect('nginx takes the configuration', !test.includes('warn'), test);
  edge = {port, process: spawn('nginx', [...args, '-g', 'daemon off;'], {stdio: 'inherit'})};
  const until = Date.now() + 10000;
  for (;;) {
    const client = connect(port);
    const up = await Promise.race([once(client, 'connect').then(() => true, () => false)]);
    client.destroy();
    if (up) return;
    if (Date.now() > until) throw new Error('nginx does not listen');
  }
}

function connect(port) {
  const client = http2.connect(`https://localhost:${port}`, {
    ca: fs.existsSync(`${work}/tls.crt`) ? fs.readFileSync(`${work}/tls.crt`) : undefined,
    lookup: (_, options, done) => options.all ? done(null, [{address: '127.0.0.1', family: 4}])
                                              : done(null, '127.0.0.1', 4)});
  client.on('error', () => {});
  return client;
}

// One call: its response headers, trailers and bytes.
function call(client, method, {headers = {}, body = Buffer.alloc(5)} = {}) {
  return new Promise(resolve => {
    const stream = client.request({':method': 'POST', ':path': method, te: 'trailers',
                                   'content-type': 'application/grpc', ...headers});
    const answer = {headers: {}, trailers: {}, bytes: 0};
    stream.setTimeout(10000, () => stream.close());
    stream.on('response', got => { answer.headers = got; });
    stream.on('trailers', got => { answer.trailers = got; });
    stream.on('data', chunk => { answer.bytes += chunk.length; });
    stream.on('error', error => { answer.error = error.code; });
    stream.on('close', () => resolve(
      {...answer, status: answer.trailers['grpc-status'] ?? answer.headers['grpc-status']}));
    stream.end(body);
  });
}

// --- what protos say ---------------------------------------------------------------------------

function services() {
  const found = [];
  for (const area of areas) {
    const folder = path.join(root, 'proto/handrail', area, 'v1');
    for (const file of fs.readdirSync(folder).filter(name => name.endsWith('.proto'))) {
      const text = fs.readFileSync(path.join(folder, file), 'utf8');
      for (const part of text.split(/^service /m).slice(1)) {
        const accesses = [...part.matchAll(/access: ACCESS_(\w+)/g)].map(match => match[1]);
        found.push({area, name: `handrail.${area}.v1.${part.match(/^\w+/)[0]}`,
                    method: part.match(/rpc (\w+)/)[1],
                    internal: accesses.includes('SERVICE')});
      }
    }
  }
  return found;
}

// --- the checks --------------------------------------------------------------------------------

async function checkRoutes(client) {
  const all = services();
  expect('services found in proto/', all.length >= 8, all.length);
  for (const service of all) {
    const before = reached[service.area].length;
    const answer = await call(client, `/${service.name}/${service.method}`);
    const got = reached[service.area].length - before;
    if (service.internal) {
      expect(`${service.name} is not reached`, answer.status === '12' && got === 0, answer);
    } else {
      expect(`${service.name} is reached`,
             answer.status === '0' && answer.trailers['x-area'] === service.area, answer);
    }
  }
  for (const strange of ['/', '/grpc.health.v1.Health/Check', '/handrail.other.v1.X/Y']) {
    expect(`${strange} is no method`, (await call(client, strange)).status === '12');
  }
}

async function checkHeaders(client) {
  await call(client, '/handrail.matching.v1.MatchingService/GetTicket', {headers: {
    'x-real-ip': '203.0.113.9', 'x-forwarded-for': '203.0.113.9', 'x-handrail-service': 'profiles',
    authorization: 'Bearer token', 'grpc-timeout': '5S'}});
  const seen = reached.matching.at(-1);
  expect('x-real-ip is the edge\'s', seen['x-real-ip'] === '127.0.0.1', seen['x-real-ip']);
  expect('nobody says from outside that it is a service', !('x-handrail-service' in seen));
  expect('no x-forwarded-for', !('x-forwarded-for' in seen));
  expect('the token passes', seen.authorization === 'Bearer token');
  expect('the deadline passes', seen['grpc-timeout'] === '5S');
}

async function checkStreams(client) {
  const large = await call(client, '/handrail.messaging.v1.MessagingService/Connect',
                           {body: Buffer.alloc(3 << 20)});
  expect('a stream of 3 MiB passes', large.trailers['x-bytes'] === String(3 << 20), large);

  const stream = client.request({':method': 'POST', te: 'trailers', 'x-echo': '1',
    ':path': '/handrail.messaging.v1.MessagingService/Connect', 'content-type': 'application/grpc'});
  let rounds = 0;
  for (; rounds < 5; ++rounds) {
    stream.write(`frame ${rounds}`);
    const [chunk] = await once(stream, 'data');
    if (String(chunk) !== `frame ${rounds}`) break;
  }
  expect('both directions flow unbuffered', rounds === 5, rounds);
  stream.end();
  const [trailers] = await once(stream, 'trailers');
  expect('trailers pass', trailers['grpc-status'] === '0');
  stream.resume();
}

async function checkHostile(port) {
  const attacker = connect(port);
  await once(attacker, 'connect');
  const before = reached.profiles.length;
  let opened = 0;
  for (; opened < 3000 && !attacker.destroyed; ++opened) {
    const stream = attacker.request({':method': 'POST', te: 'trailers',
      ':path': '/handrail.profiles.v1.IdentityService/CreateToken'});
    stream.on('error', () => {});
    stream.close(http2.constants.NGHTTP2_CANCEL);
    if (opened % 100 === 0) await new Promise(setImmediate);
  }
  const honest = connect(port);
  const answer = await call(honest, '/handrail.messaging.v1.MessagingService/FetchMessages');
  expect('rapid reset: an honest call from the same address is answered', answer.status !== undefined,
         answer);
  expect('rapid reset: the service sees few of the calls', reached.profiles.length - before <= 700,
         reached.profiles.length - before);
  attacker.destroy();
  const header = await call(honest, '/handrail.profiles.v1.IdentityService/CreateToken',
                            {headers: {'x-large-bin': 'a'.repeat(40000)}});
  expect('a header of 40 KB does not pass', header.status !== '0', header.status);
  honest.destroy();
}

async function checkOutage(port, servers) {
  const client = connect(port);
  // After the flood the address may have to wait for its limits; each service has its own.
  const create = '/handrail.profiles.v1.IdentityService/CreateToken';
  const until = Date.now() + 20000;
  for (const path of ['/handrail.messaging.v1.MessagingService/FetchMessages', create]) {
    while ((await call(client, path)).status !== '0' && Date.now() < until) {
      await new Promise(resolve => setTimeout(resolve, 100));
    }
  }
  servers[1].close();
  servers[1].closeAllConnections?.();
  for (const session of sessions[1]) session.destroy();
  const answer = await call(client, '/handrail.matching.v1.MatchingService/GetTicket');
  expect('a service that is down is UNAVAILABLE', answer.status === '14', answer);
  let others = await call(client, create);
  while (others.status !== '0' && Date.now() < until) {
    await new Promise(resolve => setTimeout(resolve, 100));
    others = await call(client, create);
  }
  expect('the others go on', others.status === '0', others);
  client.destroy();
  const log = fs.readFileSync(`${work}/access.log`, 'utf8').trim().split('\n');
  expect('the log is JSON', log.every(line => JSON.parse(line).service === 'edge'));
  expect('the log names no address', !log.some(line => line.includes('127.0.0.1')), log[0]);
}

async function checkShutdown(port, edge) {
  const client = connect(port);
  const stream = client.request({':method': 'POST', te: 'trailers', 'x-echo': '1',
    ':path': '/handrail.messaging.v1.MessagingService/Connect', 'content-type': 'application/grpc'});
  stream.write('one');
  await once(stream, 'data');
  edge.kill('SIGQUIT');
  await once(client, 'goaway');
  stream.write('two');
  const [chunk] = await once(stream, 'data');
  expect('on SIGQUIT an open stream goes on', String(chunk) === 'two');
  stream.resume();
  stream.end();
  const [code] = await once(edge, 'exit');
  expect('and then nginx ends', code === 0, code);
}

const sessions = [[], [], []];
const servers = [];
const alarm = setTimeout(() => {
  console.log('FAILED: no end after 50 s');
  edge?.process.kill('SIGTERM');
  console.log(`${passed} passed, ${failed + 1} failed`);
  process.exit(1);
}, 50000);
try {
  for (const [i, area] of areas.entries()) {
    servers.push(await standIn(area));
    servers[i].on('session', session => sessions[i].push(session));
  }
  await startEdge(servers.map(server => server.address().port));
  const client = connect(edge.port);
  await checkRoutes(client);
  await checkHeaders(client);
  await checkStreams(client);
  client.destroy();
  await checkHostile(edge.port);
  await checkOutage(edge.port, servers);
  await checkShutdown(edge.port, edge.process);
} catch (error) {
  expect(`the run itself: ${error.stack}`, false);
} finally {
  clearTimeout(alarm);
  if (edge && edge.process.exitCode === null) edge.process.kill('SIGTERM');
  for (const list of sessions) for (const session of list) session.destroy();
  for (const server of servers) server.close();
  fs.rmSync(work, {recursive: true, force: true});
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
