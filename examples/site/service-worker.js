/** The site's own service worker: Heliograph's part, and whatever else a site may want here. */
importScripts('/settings.js');
importScripts(`${self.SETTINGS.endpoint}/sdk/service-worker.js`);

// A new version of this file is used at once, not when the last window is closed.
self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
