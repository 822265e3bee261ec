export { IndexedDbStore } from './store/indexeddb_store.ts';
export { createBrowserTransport } from './transport/browser.ts';
