// Operations noted as they run, as one graph that TensorFlow can run by itself. A graph has parts, each run at once from what is fed to what is
// fetched; between two of them the host has the word. When there is something to note, and where results go, is recorder.ts.
import type { DType, Operand } from '@xmoe/core';
import { attributeValue, type AttributeValue, type GraphNode } from './saved-model.js';

/** TensorFlow's own numbers of types: the addon names only those of TensorFlow.js, and takes all. */
export const TYPES = { float32: 1, int32: 3, bool: 10, bfloat16: 14, float16: 19 } as const;

/** A tensor of TensorFlow by its number. */
export type Id = number;

/** An attribute as the addon takes it: `type` says of which kind. */
export interface Attribute {
  readonly name: string;
  readonly type: number;
  readonly value: unknown;
}

/** The addon's numbers of kinds of attributes. */
export interface AttributeKinds {
  readonly TF_ATTR_TYPE: number;
  readonly TF_ATTR_BOOL: number;
  readonly TF_ATTR_INT: number;
  readonly TF_ATTR_STRING: number;
  readonly TF_ATTR_SHAPE: number;
}

/** What a result of an operation is. */
export interface Result {
  readonly id: Id;
  /** TensorFlow's number. */
  readonly dtype: number;
}

/** What a part is given: the contents of an operand, or what the host makes of it each time. */
export interface Feed {
  readonly name: string;
  readonly operand: Operand;
  readonly made: Made | null;
}

export interface Made {
  readonly shape: readonly number[];
  make(from: Operand): Float32Array;
}

export interface Constant {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly values: ArrayBufferView;
}

export class Graph {
  readonly nodes: GraphNode[] = [];
  private readonly kinds: AttributeKinds;
  /** Of the present part: `name:index` of its tensors. */
  private readonly names = new Map<Id, string>();
  private feeds: Feed[] = [];

  constructor(kinds: AttributeKinds) {
    this.kinds = kinds;
  }

  /** `name:index` of a tensor of the present part. */
  nameOf(id: Id): string | undefined {
    return this.names.get(id);
  }

  note(operation: string, attributes: readonly Attribute[], inputs: readonly string[], results: readonly Result[]): void {
    const encoded: Record<string, AttributeValue> = Object.fromEntries(attributes.map((attribute) => [attribute.name, this.encode(attribute)]));
    // The one operation here whose type the addon finds out by itself.
    if (operation === 'Reshape') encoded['T'] = attributeValue.type(results[0]!.dtype);
    const name = this.add(operation, inputs, encoded);
    results.forEach(({ id }, index) => this.names.set(id, `${name}:${index}`));
  }

  constant(id: Id, { dtype, shape, values }: Constant): string {
    const type = TYPES[dtype as keyof typeof TYPES];
    const name = `${this.add('Const', [], { dtype: attributeValue.type(type), value: attributeValue.tensor(type, shape, values) })}:0`;
    this.names.set(id, name);
    return name;
  }

  feed(id: Id, operand: Operand, made: Made | null = null): void {
    const [dtype, shape] = made ? ['float32', made.shape] : [operand.dtype, operand.shape];
    const node = this.add('Placeholder', [], { dtype: attributeValue.type(TYPES[dtype as keyof typeof TYPES]), shape: attributeValue.shape(shape) });
    this.names.set(id, `${node}:0`);
    this.feeds.push({ name: `${node}:0`, operand, made });
  }

  /** Ends the present part; what it is fed. */
  endPart(): readonly Feed[] {
    this.names.clear();
    return this.feeds.splice(0);
  }

  private add(operation: string, inputs: readonly string[], attributes: Record<string, AttributeValue>): string {
    const name = `${operation}_${this.nodes.length}`;
    this.nodes.push({ name, operation, inputs, attributes });
    return name;
  }

  private encode({ type, value }: Attribute): AttributeValue {
    const { kinds } = this;
    if (type === kinds.TF_ATTR_TYPE) return attributeValue.type(value as number);
    if (type === kinds.TF_ATTR_INT) return attributeValue.int(value as number);
    if (type === kinds.TF_ATTR_BOOL) return attributeValue.bool(value as boolean);
    return type === kinds.TF_ATTR_SHAPE ? attributeValue.shape(value as readonly number[]) : attributeValue.string(value as string);
  }
}
