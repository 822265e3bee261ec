export * from './engine.ts';
export { TsMlsEngine } from './ts_mls_engine.ts';
