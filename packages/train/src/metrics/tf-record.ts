// The framing of TFRecord files: length (u64), its masked checksum (u32), the payload, its masked checksum (u32), all
// little-endian. Not what the payload means (see event-message.ts).
import { XMoEError } from '@xmoe/core';
import { maskedCrc32c } from './crc32c.js';

const HEADER_BYTES = 12;
const FOOTER_BYTES = 4;

/** One record around `payload`. */
export function frameRecord(payload: Uint8Array): Uint8Array {
  const out = new Uint8Array(HEADER_BYTES + payload.length + FOOTER_BYTES);
  const view = new DataView(out.buffer);
  view.setBigUint64(0, BigInt(payload.length), true);
  view.setUint32(8, maskedCrc32c(out.subarray(0, 8)), true);
  out.set(payload, HEADER_BYTES);
  view.setUint32(HEADER_BYTES + payload.length, maskedCrc32c(payload), true);
  return out;
}

/** The payloads of a file. @throws XMoEError `data` for a wrong checksum or a cut record, with the byte where it starts */
export function readRecords(file: Uint8Array): Uint8Array[] {
  const payloads: Uint8Array[] = [];
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let at = 0; at < file.length; ) {
    if (file.length - at < HEADER_BYTES) throw new XMoEError('data', `TFRecord: cut off at byte ${at}`);
    const length = Number(view.getBigUint64(at, true));
    if (view.getUint32(at + 8, true) !== maskedCrc32c(file.subarray(at, at + 8))) {
      throw new XMoEError('data', `TFRecord: wrong checksum of the length at byte ${at}`);
    }
    const start = at + HEADER_BYTES;
    if (file.length - start < length + FOOTER_BYTES) throw new XMoEError('data', `TFRecord: cut off at byte ${at}`);
    const payload = file.subarray(start, start + length);
    if (view.getUint32(start + length, true) !== maskedCrc32c(payload)) {
      throw new XMoEError('data', `TFRecord: wrong checksum of the record at byte ${at}`);
    }
    payloads.push(payload);
    at = start + length + FOOTER_BYTES;
  }
  return payloads;
}
