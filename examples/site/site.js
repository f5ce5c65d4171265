/**
 * The page: log-in, notifications on and off, and a form that makes somebody else's browser ring.
 *
 * Everything that concerns Heliograph is in `turnOn`, `logIn` and `logOut`. `SETTINGS`, from the
 * back end, says which instance this is and where Heliograph is.
 */
const { Client, RegistrationState, TokenProvider } = await import(
  `${SETTINGS.endpoint}/sdk/push-notifications.js`
);

const element = (id) => document.getElementById(id);

/** The client; null where a browser cannot have one, which then is told instead. */
const push = pushClient();

function pushClient() {
  try {
    return new Client({ instanceId: SETTINGS.instanceId });
  } catch (problem) {
    element('notifications-state').textContent = `${problem.message}.`;
    return null;
  }
}

/** Who is logged in here. A real site has a cookie that scripts cannot read. */
const session = {
  get: () => JSON.parse(localStorage.getItem('session')),
  set: (value) => localStorage.setItem('session', JSON.stringify(value)),
  get headers() {
    return { Authorization: `Bearer ${this.get().session_token}` };
  },
};

// --- what concerns Heliograph ------------------------------------------------------------

/** Ask for permission, register this browser, and log the person in on it. */
async function turnOn() {
  await push.start();
  const tokens = new TokenProvider({ url: '/pusher/beams-auth', headers: session.headers });
  await push.setUserId(session.get().user_id, tokens);
}

async function isOn() {
  const on = RegistrationState.PERMISSION_GRANTED_REGISTERED_WITH_BEAMS;
  return push !== null && (await push.getRegistrationState()) === on;
}

async function logIn(fields) {
  session.set(await post('/login', fields));
  if (await isOn()) await turnOn(); // as at every visit
}

/** What was meant for this person must not show to the next one. */
async function logOut() {
  if (await isOn()) await push.clearAllState();
  await post('/logout', {}, session.headers);
  session.set(null);
}

// --- the page ----------------------------------------------------------------------------

async function post(path, fields, headers = {}) {
  const response = await fetch(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(fields),
  });
  const answer = response.status === 204 ? null : await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

async function show() {
  const current = session.get();
  const isLoggedIn = current !== null;
  for (const id of ['whoami', 'notifications', 'message']) element(id).hidden = !isLoggedIn;
  element('log-in').hidden = isLoggedIn;
  if (!isLoggedIn) return;
  element('user').textContent = current.user_id;
  element('message').elements.to.value = correspondent(current.user_id);
  element('turn-on').hidden = push === null || (await isOn());
  if (push === null) return;
  element('notifications-state').textContent = element('turn-on').hidden
    ? 'They are on in this browser. Close the page if you like: postcards come all the same.'
    : 'They are off in this browser.';
}

/** Whose postcard led here; else somebody who is not the writer. */
function correspondent(writer) {
  const known = [...element('message').elements.to.options].map((option) => option.value);
  const sender = new URLSearchParams(location.search).get('from');
  return known.includes(sender) ? sender : known.find((name) => name !== writer);
}

function tell(text) {
  element('status').textContent = text;
  element('status').hidden = text === '';
}

/** Do something for a button, which waits meanwhile; say what came of it, and show how it is. */
async function act(button, action) {
  button.disabled = true;
  try {
    tell((await action()) ?? '');
  } catch (problem) {
    tell(problem.message);
  } finally {
    button.disabled = false;
    await show();
  }
}

const fieldsOf = (form) => Object.fromEntries(new FormData(form));

element('log-in').addEventListener('submit', (event) => {
  event.preventDefault();
  act(event.submitter, () => logIn(fieldsOf(event.target)));
});

element('turn-on').addEventListener('click', (event) => act(event.target, turnOn));

element('log-out').addEventListener('click', (event) => act(event.target, logOut));

element('message').addEventListener('submit', (event) => {
  event.preventDefault();
  act(event.submitter, async () => {
    const fields = fieldsOf(event.target);
    await post('/messages', fields, session.headers);
    event.target.elements.text.value = '';
    return `Sent to ${fields.to}.`;
  });
});

await show();
if (session.get() !== null && (await isOn())) {
  await turnOn().catch((problem) => tell(problem.message)); // SDKs are told the user at every visit
}
