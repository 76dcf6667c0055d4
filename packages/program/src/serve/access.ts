// Who may ask a server: checks of the Host and Origin of a request, and of the token. What a page of another site can make a browser send
// is refused before it costs anything. Opens nothing.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import { XMoEError } from '@xmoe/core';
import { Refusal } from './refusal.js';

export interface AccessRules {
  /** The address that the server listens on. */
  readonly host: string;
  /** Asked for as `Authorization: Bearer …`; undefined where everybody on this machine may ask. */
  readonly token: string | undefined;
  /** Names that a Host may have, beside addresses and localhost. */
  readonly allowedHosts: readonly string[];
  /** Other sites whose pages may ask. */
  readonly allowedOrigins: readonly string[];
}

/** Whether only this machine reaches the address. */
const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));

/** @throws XMoEError `config` for rules that would let everybody in, or that nothing fits */
export function checkAccessRules({ host, token, allowedOrigins }: AccessRules): void {
  if (token === undefined && !isLoopback(host)) {
    throw new XMoEError('config', `${host} is reached from other machines, and there is no token`, { hint: 'set XMOE_SERVE_TOKEN, or leave --host out: 127.0.0.1 is reached from this machine alone' });
  }
  if (token !== undefined && !/^[\x21-\x7e]{8,}$/.test(token)) {
    throw new XMoEError('config', 'the token is shorter than 8 characters, or has others than printable ASCII without spaces', { hint: 'make one, e.g. with: openssl rand -hex 16' });
  }
  const wrong = allowedOrigins.find((origin) => !isOrigin(origin));
  if (wrong !== undefined) throw new XMoEError('config', `${JSON.stringify(wrong)} is no origin`, { hint: 'write it as https://example.org or http://localhost:3000, without a path; * is not taken' });
}

const isOrigin = (text: string): boolean => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol) && new URL(text).origin === text;

/**
 * Refuses a request that its Host or Origin give away. A name that somebody else resolves to this address (DNS rebinding) is in Host; an
 * address or localhost cannot be such a name.
 * @returns the origin that the answer may name in its CORS headers; null for none
 * @throws Refusal 403
 */
export function checkSite({ host: hostHeader = '', origin, 'sec-fetch-site': site, 'sec-fetch-mode': mode }: IncomingHttpHeaders, { allowedHosts, allowedOrigins }: AccessRules): string | null {
  const hostname = hostnameOf(hostHeader);
  if (!(hostname === 'localhost' || isIP(hostname) > 0 || allowedHosts.includes(hostname))) {
    throw new Refusal(403, `the host ${JSON.stringify(hostHeader)} is not one of this server's (start it with --allow-host for a name of it)`);
  }
  if (origin !== undefined) {
    if (allowedOrigins.includes(origin)) return origin;
    if (origin !== `http://${hostHeader}`) throw new Refusal(403, `pages of ${JSON.stringify(origin)} may not ask (start the server with --allow-origin for them)`);
  } else if (site === 'cross-site' && mode !== 'navigate') {
    throw new Refusal(403, 'pages of other sites may not ask (start the server with --allow-origin for them)');
  }
  return null;
}

/** `[::1]:8080` → `::1`; '' for what is no host. */
function hostnameOf(header: string): string {
  if (!/^[\w.:[\]-]+$/.test(header) || !URL.canParse(`http://${header}`)) return '';
  return new URL(`http://${header}`).hostname.replace(/^\[|\]$/g, '');
}

/** @throws Refusal 401 without the token */
export function checkToken({ authorization = '' }: IncomingHttpHeaders, { token }: AccessRules): void {
  if (token === undefined) return;
  const given = /^Bearer +(.*)$/i.exec(authorization)?.[1] ?? '';
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest(); // of one length, so that comparing tells nothing
  if (!timingSafeEqual(digest(given), digest(token))) {
    throw new Refusal(401, given === '' ? 'this server asks for its token (Authorization: Bearer …)' : 'this is not the token of the server', { code: 'invalid_api_key', headers: { 'WWW-Authenticate': 'Bearer' } });
  }
}
