// The body of a request as JSON, within limits.
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { parseJson, type JsonValue } from '@xmoe/files';
import { Refusal } from './refusal.js';

/** A request must not fill the memory. */
const MOST_BODY_BYTES = 1 << 20;

/** The rest of a refused body is not waited for. */
const CLOSE = { headers: { Connection: 'close' } };

/**
 * Only JSON by its name: what a page of any site may send without asking is text or a form.
 * @throws Refusal 400, 413 or 415; XMoEError `data` for what is not JSON
 */
export async function readJsonBody(request: IncomingMessage, most = MOST_BODY_BYTES): Promise<JsonValue> {
  const { 'content-type': type = '', 'content-encoding': encoding = 'identity', 'content-length': length } = request.headers;
  if (!/^application\/json *(;|$)/i.test(type)) throw new Refusal(415, 'the body must be JSON, with Content-Type: application/json', CLOSE);
  if (encoding !== 'identity') throw new Refusal(415, `a body in ${encoding} is not taken: send it as it is`, CLOSE);
  const tooLarge = (): Refusal => new Refusal(413, `the body has more than ${most} bytes`, CLOSE);
  if (Number(length) > most) throw tooLarge();
  const parts: Buffer[] = [];
  let bytes = 0;
  // Its own iterator would cut the connection with an error, and the answer with it.
  for await (const part of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > most) throw tooLarge();
    parts.push(part);
  }
  const body = Buffer.concat(parts);
  if (!isUtf8(body)) throw new Refusal(400, 'the body is not UTF-8');
  return parseJson(body.toString(), { where: 'the body', code: 'data' });
}
