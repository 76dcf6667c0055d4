// A graph of TensorFlow's operations in the file format of a SavedModel, which is how the addon takes a graph. Written only, and no more of it than
// operations without state need; what the graph is made of is graph.ts.

/** A value of an attribute, encoded. */
export type AttributeValue = Uint8Array;

export interface GraphNode {
  readonly name: string;
  readonly operation: string;
  /** `name` or `name:index` of results. */
  readonly inputs: readonly string[];
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

/** The tag under which the graph is found in the file. */
export const MODEL_TAG = 'xmoe';

/** Versions of the graph format: what TensorFlow 2.7 to 2.21 read, and the oldest that may. */
const PRODUCER = 808;
const OLDEST_CONSUMER = 12;

type Part = Uint8Array | readonly number[];

function join(parts: readonly Part[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Seven bits a byte, from the lowest; negative numbers as 64 bits. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return [...bytes, Number(rest)];
}

const number = (field: number, value: number): Uint8Array => join([varint(field << 3), varint(value)]);
const bytes = (field: number, contents: Uint8Array): Uint8Array => join([varint((field << 3) | 2), varint(contents.length), contents]);
const text = (field: number, contents: string): Uint8Array => bytes(field, new TextEncoder().encode(contents));
const shapeMessage = (shape: readonly number[]): Uint8Array => join(shape.map((extent) => bytes(2, number(1, extent))));

/** Values of attributes, by the fields of AttrValue. */
export const attributeValue = {
  string: (value: string): AttributeValue => text(2, value),
  int: (value: number): AttributeValue => number(3, value),
  bool: (value: boolean): AttributeValue => number(5, value ? 1 : 0),
  type: (value: number): AttributeValue => number(6, value),
  shape: (value: readonly number[]): AttributeValue => bytes(7, shapeMessage(value)),
  /** `type`: TensorFlow's number of it. */
  tensor: (type: number, shape: readonly number[], { buffer, byteOffset, byteLength }: ArrayBufferView): AttributeValue =>
    bytes(8, join([number(1, type), bytes(2, shapeMessage(shape)), bytes(4, new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength))])),
};

function nodeMessage({ name, operation, inputs, attributes }: GraphNode): Uint8Array {
  const entries = Object.entries(attributes).map(([key, value]) => bytes(5, join([text(1, key), bytes(2, value)])));
  return join([text(1, name), text(2, operation), ...inputs.map((input) => text(3, input)), ...entries]);
}

/** The file `saved_model.pb`: one graph under {@link MODEL_TAG}. */
export function encodeSavedModel(nodes: readonly GraphNode[]): Uint8Array {
  const versions = join([number(1, PRODUCER), number(2, OLDEST_CONSUMER)]);
  const graph = join([...nodes.map((node) => bytes(1, nodeMessage(node))), bytes(4, versions)]);
  return join([number(1, 1), bytes(2, join([bytes(1, text(4, MODEL_TAG)), bytes(2, graph)]))]);
}
