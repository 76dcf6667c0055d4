// Decodes the Event messages that the tests write: an independent, generic reader of the protobuf wire format.

type Field = number | Uint8Array | bigint;

/** All fields of a message by number, in order. Fixed-size fields come as numbers, varints as bigint. */
export function decodeMessage(bytes: Uint8Array): Map<number, Field[]> {
  const fields = new Map<number, Field[]>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = Number(varint());
    const value = ((): Field => {
      switch (key & 7) {
        case 0: return varint();
        case 1: return view.getFloat64((at += 8) - 8, true);
        case 5: return view.getFloat32((at += 4) - 4, true);
        default: {
          const length = Number(varint());
          return bytes.subarray(at, (at += length));
        }
      }
    })();
    fields.set(key >> 3, [...(fields.get(key >> 3) ?? []), value]);
  }
  return fields;
}

export const textOf = (field: Field | undefined) => new TextDecoder().decode(field as Uint8Array);
export const doublesOf = (field: Field | undefined) => [...new Float64Array(Uint8Array.from(field as Uint8Array).buffer)];
