/**
 * Heliograph's part of a site's service worker: it shows what is pushed, opens what is clicked,
 * and reports both. It does what Beams' own worker does, and has the same settings.
 *
 * A site's worker takes it in, beside whatever else it does:
 *
 *     importScripts('https://push.example.com/sdk/service-worker.js');
 *
 * Settings are properties of `self.PusherPushNotifications`. They are read at each event, so they
 * may be set before that line or after it:
 *
 * - `endpointOverride`: base URL of the server to report to. Unless set, it is the server that
 *   this file was loaded from.
 * - `onNotificationReceived({ payload, pushEvent, handleNotification, statePromise })`: called
 *   for each push instead of showing it. `payload` is what the customer published;
 *   `handleNotification(payload)` shows it, or another like it. The push event lasts as long as
 *   the promise that is returned, and as long as it is told to by `pushEvent.waitUntil`.
 *
 * What did not come through Heliograph is left to the site's other handlers.
 */
(() => {
  'use strict';

  /** The server that a script of this name came from, as an error's stack tells. */
  const homeIn = (stack) =>
    /(https?:\/\/[^\s()]+?)\/sdk\/service-worker\.js/.exec(stack ?? '')?.[1] ??
    self.location.origin;

  const home = homeIn(new Error().stack);

  self.PusherPushNotifications = {
    endpointOverride: null,
    onNotificationReceived: null,
    reportEvent,
    ...self.PusherPushNotifications,
  };

  self.addEventListener('push', (event) => {
    const received = read(event.data);
    if (received === null) return;
    const { pusher, ...data } = received.data;
    const payload = { ...received, data };
    const statePromise = stateOf(pusher);
    event.waitUntil(report('delivery', statePromise));
    const handleNotification = (chosen) => show(chosen, pusher);
    const { onNotificationReceived } = self.PusherPushNotifications;
    event.waitUntil(
      onNotificationReceived
        ? onNotificationReceived({ payload, pushEvent: event, handleNotification, statePromise })
        : handleNotification(payload),
    );
  });

  self.addEventListener('notificationclick', (event) => {
    const { customerPayload, pusherMetadata } = event.notification.data?.pusher ?? {};
    if (!isObject(pusherMetadata)) return;
    event.waitUntil(report('open', stateOf(pusherMetadata)));
    const link = customerPayload?.notification?.deep_link;
    if (link) event.waitUntil(visit(link));
    event.notification.close();
  });

  /**
   * What was pushed, if it came through Heliograph; else null.
   * @param {PushMessageData | null} message
   * @returns {{ notification?: object, data: { pusher: object } } | null}
   */
  function read(message) {
    try {
      const payload = message.json();
      return isObject(payload?.data?.pusher) ? payload : null;
    } catch {
      return null; // no body, or no JSON
    }
  }

  /**
   * Show a notification, unless it asks not to be shown to somebody who looks at the site.
   *
   * What has no `notification` is shown as well, though empty: browsers let a site push only
   * if each push shows something.
   */
  async function show(payload, pusherMetadata) {
    const { title, body, icon, ...wishes } = payload?.notification ?? {};
    if (wishes.hide_notification_if_site_has_focus === true) {
      if ((await windows()).some((each) => each.focused)) return;
    }
    await self.registration.showNotification(title || '', {
      body: body || '',
      icon,
      data: { pusher: { customerPayload: payload, pusherMetadata } },
    });
  }

  /** Bring the window at this address to the front, or open one. */
  async function visit(link) {
    const address = URL.canParse(link, self.location.href)
      ? new URL(link, self.location.href).href
      : link;
    const there = (await windows()).find((each) => each.url === address);
    await (there ? there.focus() : self.clients.openWindow(address));
  }

  /**
   * What is said of this browser in a report; undefined if the push cannot be reported.
   * @param {object} metadata What the server put into the push for us.
   */
  async function stateOf({ instanceId, publishId, hasDisplayableContent, hasData }) {
    if (!instanceId || !publishId) return undefined;
    const [known, open] = await Promise.all([remembered(instanceId), windows()]);
    return {
      instanceId,
      publishId,
      deviceId: known.device_id || null,
      userId: known.user_id || null,
      appInBackground: !open.some((each) => each.visibilityState === 'visible'),
      hasDisplayableContent,
      hasData,
    };
  }

  /** Report an event, if it can be: nobody waits for the answer, and a failure harms nothing. */
  async function report(eventType, statePromise) {
    try {
      const state = await statePromise;
      const tell = self.PusherPushNotifications.reportEvent ?? reportEvent;
      if (state) await tell({ eventType, state });
    } catch {
      // The person has seen what they were to see.
    }
  }

  /** Tell the server of an event, `delivery` or `open`; a failure is nobody's business. */
  async function reportEvent({ eventType, state: { instanceId, ...state } }) {
    const endpoint = (self.PusherPushNotifications.endpointOverride || home).replace(/\/+$/, '');
    const instance = encodeURIComponent(instanceId);
    const timestampSecs = Math.floor(Date.now() / 1000);
    await fetch(`${endpoint}/reporting_api/v2/instances/${instance}/events`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ event: eventType, timestampSecs, ...state }),
    }).catch(() => {});
  }

  const windows = () => self.clients.matchAll({ type: 'window', includeUncontrolled: true });

  const isObject = (value) => typeof value === 'object' && value !== null;

  /** What the SDK on the site's pages keeps of this browser; nothing if it was never started. */
  async function remembered(instanceId) {
    const opening = indexedDB.open(`beams-${instanceId}`);
    // It is for the SDK to make the database: one without its table would be in its way.
    opening.onupgradeneeded = () => opening.transaction.abort();
    try {
      const database = await settled(opening);
      try {
        const table = database.transaction('beams').objectStore('beams');
        return (await settled(table.get(instanceId))) ?? {};
      } finally {
        database.close();
      }
    } catch {
      return {};
    }
  }

  const settled = (request) =>
    new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
})();
