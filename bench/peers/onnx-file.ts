// Writes files of the ONNX format (protocol buffers) from nodes and weights: as much of it as a decoder takes. Knows no model, and
// reads nothing. The field numbers are those of onnx.proto3, ONNX 1.16.

export type OnnxAttribute = number | { readonly float: number } | { readonly text: string } | readonly number[];

export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
}

export interface OnnxWeight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array | BigInt64Array;
}

/** Sizes that are open have a name. */
export interface OnnxValue {
  readonly name: string;
  readonly type: 'float32' | 'int64';
  readonly shape: readonly (number | string)[];
}

export interface OnnxGraph {
  readonly nodes: readonly OnnxNode[];
  readonly weights: readonly OnnxWeight[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

const IR_VERSION = 9;
const ELEMENT = { float32: 1, int64: 7 } as const;
const ATTRIBUTE = { float: 1, int: 2, text: 3, ints: 7 } as const;

/** A model of one graph, in the operator set `opset`. */
export function onnxFile({ nodes, weights, inputs, outputs }: OnnxGraph, opset: number): Uint8Array {
  const graph = message(
    ...nodes.map((node) => bytes(1, nodeBytes(node))),
    text(2, 'graph'),
    ...weights.map((weight) => bytes(5, weightBytes(weight))),
    ...inputs.map((value) => bytes(11, valueBytes(value))),
    ...outputs.map((value) => bytes(12, valueBytes(value))),
  );
  return message(integer(1, IR_VERSION), bytes(7, graph), bytes(8, message(text(1, ''), integer(2, opset))));
}

function nodeBytes({ op, inputs, outputs, attributes = {} }: OnnxNode): Uint8Array {
  return message(
    ...inputs.map((name) => text(1, name)), ...outputs.map((name) => text(2, name)), text(4, op),
    ...Object.entries(attributes).map(([name, value]) => bytes(5, message(text(1, name), ...attributeBytes(value)))),
  );
}

function attributeBytes(value: OnnxAttribute): Uint8Array[] {
  if (typeof value === 'number') return [integer(3, value), integer(20, ATTRIBUTE.int)];
  if ('float' in value) return [float(2, value.float), integer(20, ATTRIBUTE.float)];
  if ('text' in value) return [text(4, value.text), integer(20, ATTRIBUTE.text)];
  return [...value.map((item) => integer(8, item)), integer(20, ATTRIBUTE.ints)];
}

function weightBytes({ name, shape, values }: OnnxWeight): Uint8Array {
  const raw = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const type = values instanceof Float32Array ? ELEMENT.float32 : ELEMENT.int64;
  return message(...shape.map((size) => integer(1, size)), integer(2, type), text(8, name), bytes(9, raw));
}

function valueBytes({ name, type, shape }: OnnxValue): Uint8Array {
  const sizes = shape.map((size) => bytes(1, typeof size === 'number' ? integer(1, size) : text(2, size)));
  return message(text(1, name), bytes(2, message(bytes(1, message(integer(1, ELEMENT[type]), bytes(2, message(...sizes)))))));
}

/** Fields of a message, one after the other. */
function message(...fields: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(fields.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const field of fields) {
    out.set(field, at);
    at += field.length;
  }
  return out;
}

/** Seven bits per byte, lowest first. Negative numbers as 64 bits. */
function varint(value: number): number[] {
  const out: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest >= 128n) {
    out.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  return [...out, Number(rest)];
}

const [VARINT, LENGTH, FIXED32] = [0, 2, 5];
const tag = (field: number, kind: number): number[] => varint((field << 3) | kind);
const integer = (field: number, value: number): Uint8Array => Uint8Array.from([...tag(field, VARINT), ...varint(value)]);
const bytes = (field: number, content: Uint8Array): Uint8Array => message(Uint8Array.from([...tag(field, LENGTH), ...varint(content.length)]), content);
const text = (field: number, content: string): Uint8Array => bytes(field, new TextEncoder().encode(content));
const float = (field: number, value: number): Uint8Array => message(Uint8Array.from(tag(field, FIXED32)), new Uint8Array(Float32Array.of(value).buffer));
