/** Requests for JSON, and what goes wrong with them. */

/** An answer other than success; its text is the one that npm's SDK has for it. */
export class RequestError extends Error {
  /**
   * @param {number} status The HTTP status.
   * @param {string} title
   * @param {string} description
   */
  constructor(status, title, description) {
    super(`Unexpected status code ${status}: ${title}, ${description}`);
    this.name = 'RequestError';
    this.status = status;
    this.description = description;
  }

  /** Whether the server does not know this device: it was deleted, or the server is another. */
  get saysDeviceIsLost() {
    return this.status === 404 && this.description === 'Device not found';
  }
}

/**
 * The JSON that a server answers; null if it answers nothing that is JSON.
 * @param {string} method
 * @param {string} url
 * @param {{ body?: object, headers?: Record<string, string>, credentials?: string }} [options]
 * @throws {RequestError} Any status but 2xx.
 * @throws {TypeError} No answer, or one that another origin may not read.
 */
export async function request(method, url, { body, headers, credentials } = {}) {
  const response = await fetch(url, {
    method,
    credentials: credentials ?? 'same-origin',
    headers: body ? { 'Content-Type': 'application/json', ...headers } : headers,
    body: body && JSON.stringify(body),
  });
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  throw new RequestError(
    response.status,
    answer?.error ?? 'Unknown error',
    answer?.description ?? 'No description',
  );
}

/** Fetches Beams tokens from the site's own back end, which knows who is logged in. */
export class TokenProvider {
  #url;
  #queryParams;
  #options;

  /**
   * @param {{
   *   url: string,
   *   queryParams?: Record<string, unknown>,
   *   headers?: Record<string, string>,
   *   credentials?: string,
   * }} options `credentials` is fetch's; cookies go to the page's own origin unless it says else.
   */
  constructor({ url, queryParams, headers, credentials } = {}) {
    this.#url = url;
    this.#queryParams = queryParams;
    this.#options = { headers, credentials };
  }

  /**
   * @param {string} userId
   * @returns {Promise<{ token: string }>}
   */
  async fetchToken(userId) {
    const query = new URLSearchParams({ user_id: userId, ...this.#queryParams });
    const separator = this.#url.includes('?') ? '&' : '?';
    return request('GET', `${this.#url}${separator}${query}`, this.#options);
  }
}
