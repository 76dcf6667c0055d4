// TensorBoard's Event message in the protobuf wire format, as much of it as scalars and histograms need. The field
// numbers are those of tensorboard/compat/proto/event.proto and summary.proto. Not a protobuf library.

/** A histogram with buckets between `limits[i - 1]` and `limits[i]`. */
export interface Histogram {
  min: number;
  max: number;
  count: number;
  sum: number;
  sumOfSquares: number;
  limits: readonly number[];
  counts: readonly number[];
}

export type SummaryValue = { tag: string } & ({ scalar: number } | { histogram: Histogram });

export interface Event {
  /** Seconds since 1970. */
  wallTime: number;
  step?: number;
  /** Only in the first record of a file. */
  fileVersion?: string;
  values?: readonly SummaryValue[];
  /** A restart: readers drop what earlier files of the run hold from this step on. */
  restart?: boolean;
}

/** `SessionLog.START` of event.proto. */
const SESSION_START = 1;

export function encodeEvent({ wallTime, step, fileVersion, values, restart }: Event): Uint8Array {
  return message(
    double(1, wallTime),
    step === undefined ? [] : varintField(2, step),
    fileVersion === undefined ? [] : text(3, fileVersion),
    values === undefined ? [] : bytesField(5, message(...values.map((value) => bytesField(1, encodeValue(value))))),
    restart ? bytesField(7, message(varintField(1, SESSION_START))) : [],
  );
}

function encodeValue(value: SummaryValue): Uint8Array {
  if ('scalar' in value) return message(text(1, value.tag), float(2, value.scalar));
  return message(text(1, value.tag), bytesField(5, encodeHistogram(value.histogram)));
}

function encodeHistogram({ min, max, count, sum, sumOfSquares, limits, counts }: Histogram): Uint8Array {
  return message(
    double(1, min), double(2, max), double(3, count), double(4, sum), double(5, sumOfSquares),
    bytesField(6, packedDoubles(limits)), bytesField(7, packedDoubles(counts)),
  );
}

function message(...fields: readonly (readonly number[] | Uint8Array)[]): Uint8Array {
  return Uint8Array.from(fields.flatMap((field) => [...field]));
}

function varint(value: number): number[] {
  const out: number[] = [];
  for (; value >= 128; value = Math.floor(value / 128)) out.push((value % 128) | 128);
  return [...out, value];
}

/** A field's number and its wire type: 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes. */
const key = (field: number, type: 0 | 1 | 2 | 5) => varint((field << 3) | type);
const varintField = (field: number, value: number) => [...key(field, 0), ...varint(value)];
const double = (field: number, value: number) => [...key(field, 1), ...packedDoubles([value])];
const float = (field: number, value: number) => [...key(field, 5), ...new Uint8Array(Float32Array.of(value).buffer)];
const text = (field: number, value: string) => bytesField(field, new TextEncoder().encode(value));
const bytesField = (field: number, value: Uint8Array) => [...key(field, 2), ...varint(value.length), ...value];

function packedDoubles(values: readonly number[]): Uint8Array {
  return new Uint8Array(Float64Array.from(values).buffer);
}
