#!/usr/bin/env node
// usage: manifests_check.mjs RENDER.json...              exits 1 and prints what is wrong
//        manifests_check.mjs --self-test RENDER.json     planted faults must be found
//
// Each manifest (a JSON array a file) against Kubernetes' own schemas: kinds, types and required
// fields by the validators of kubernetes-models, unknown fields by the TypeScript compiler, which
// refuses a literal with a property that its type does not have.
import fs from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

const here = import.meta.dirname;

// The module that has a kind, as kubernetes-models names it.
function moduleOf({apiVersion}) {
  if (apiVersion === 'v1') return 'kubernetes-models/v1';
  if (apiVersion.startsWith('monitoring.coreos.com/')) {
    return `@kubernetes-models/prometheus-operator/${apiVersion}`;
  }
  return `kubernetes-models/${apiVersion}`;
}

const nameOf = doc => `${doc.kind} ${doc.metadata?.name}`;

async function validatorFaults(doc) {
  let model;
  try {
    model = (await import(moduleOf(doc)))[doc.kind];
  } catch {
    return [`${nameOf(doc)}: no such apiVersion ${doc.apiVersion}`];
  }
  if (model === undefined) return [`${nameOf(doc)}: no such kind in ${doc.apiVersion}`];
  try {
    new model(doc).validate();
    return [];
  } catch (error) {
    return [`${nameOf(doc)}: ${error.message}`];
  }
}

// [index of the document, fault]
function compilerFaults(docs) {
  const source = docs.map((doc, i) =>
    `import {type I${doc.kind} as Kind${i}} from ${JSON.stringify(moduleOf(doc))};\n` +
    `export const doc${i}: Kind${i} = ${JSON.stringify(doc)};\n`);
  // Beside node_modules, where imports are found.
  const file = path.join(here, `.manifests-${process.pid}.mts`);
  const host = ts.createCompilerHost({});
  const {getSourceFile} = host;
  host.getSourceFile = (name, ...rest) => name === file ?
    ts.createSourceFile(name, source.join(''), ts.ScriptTarget.ES2022) : getSourceFile(name, ...rest);
  const {fileExists, readFile} = host;
  host.fileExists = name => name === file || fileExists(name);
  host.readFile = name => name === file ? source.join('') : readFile(name);
  const program = ts.createProgram([file], {
    strict: true, noEmit: true, skipLibCheck: true, types: [], module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext, target: ts.ScriptTarget.ES2022}, host);
  return ts.getPreEmitDiagnostics(program).map(found => {
    const line = found.file?.fileName === file ?
      found.file.getLineAndCharacterOfPosition(found.start).line : 0;
    const text = ts.flattenDiagnosticMessageText(found.messageText, ' ');
    return [line >> 1, `${nameOf(docs[line >> 1])}: ${text}`];
  });
}

async function faultsOf(docs) {
  const faults = await Promise.all(docs.map(async (doc, i) =>
    (await validatorFaults(doc)).map(fault => [i, fault])));
  return [...faults.flat(), ...compilerFaults(docs)];
}

const read = file => JSON.parse(fs.readFileSync(file, 'utf8'));

async function selfTest(file) {
  const container = doc => doc.spec.template.spec.containers[0];
  const planted = [
    ['an unknown field', 'Deployment', doc => { container(doc).readinesProbe = {}; }],
    ['an unknown field deep down', 'Deployment', doc => { container(doc).ports[0].hostPorts = 1; }],
    ['a wrong type', 'Deployment', doc => { doc.spec.minReadySeconds = 'long'; }],
    ['a missing field', 'Deployment', doc => { delete doc.spec.selector; }],
    ['a kind that does not exist', 'Service', doc => { doc.kind = 'Servise'; }],
    ['a version that does not exist', 'Deployment', doc => { doc.apiVersion = 'apps/v9'; }],
    ['a fault in a NetworkPolicy', 'NetworkPolicy', doc => { doc.spec.ingres = []; }],
    ['a fault in a PodMonitor', 'PodMonitor', doc => { doc.spec.podMetricsEndpoint = []; }],
  ];
  const docs = planted.map(([, kind, plant]) => {
    const doc = structuredClone(read(file).find(one => one.kind === kind));
    plant(doc);
    return doc;
  });
  const found = new Set((await faultsOf(docs)).map(([i]) => i));
  return planted.filter((_, i) => !found.has(i)).map(([what], i) => [i, `not found: ${what}`]);
}

const files = process.argv.slice(2);
let faults = [];
if (files[0] === '--self-test') {
  faults = await selfTest(files[1]);
} else {
  const docs = files.flatMap(read);
  faults = docs.length ? await faultsOf(docs) : [[0, 'nothing to check']];
}
if (faults.length) console.log(faults.map(([, fault]) => fault).join('\n'));
process.exit(faults.length ? 1 : 0);
