// Small parameters as one variable of TensorFlow: an update of all of them is one operation, and so is reading them. Not the update itself, which
// is in variables.ts.
import { sizeOf, type Operand } from '@xmoe/core';
import { sameShape } from '@xmoe/core/backend';
import { boxOf, type BoxVariable } from '../box.js';
import type { TfTensor } from '../tfjs-module.js';
import type { Id, Ops } from './ops.js';

/** Elements of a tensor that goes into a group: of more, joining the gradients would cost a pass that it saves nowhere. */
export const MOST_GROUPED = 16_384;

/** The name of a variable is TensorFlow's, and one process has all of them. */
let made = 0;

/** A variable with the contents of `values`, and what ends it. */
export function createVariable({ run, runMany, keep, free }: Ops, values: Id, shape: readonly number[]): { handle: Id; destroy(): void } {
  const handle = keep(run('VarHandleOp', { container: '', shared_name: `xmoe ${process.pid} ${made++}`, dtype: 'float32', shape }));
  runMany('AssignVariableOp', { dtype: 'float32' }, [handle, values], 0);
  return {
    handle,
    destroy() {
      runMany('DestroyResourceOp', { ignore_lookup_error: true }, [handle], 0);
      free(handle);
    },
  };
}

/** The operands one after another as one row. */
export function joined({ run, id, scalar }: Ops, operands: readonly Operand[]): Id {
  const flat = operands.map(({ buffer, dtype, shape }) => id({ buffer, dtype, shape: [sizeOf(shape)] }));
  return flat.length === 1 ? flat[0]! : run('ConcatV2', { 'int:N': flat.length, T: 'float32', Tidx: 'int32' }, ...flat, scalar(0, 'int32'));
}

/** What the boxes of a group hold: a part of the variable, read with all others by whoever asks first. */
export class Member implements BoxVariable {
  readonly handle: Id;
  readonly shape: readonly number[];
  readonly group: Group;

  constructor(group: Group, shape: readonly number[]) {
    this.group = group;
    this.handle = group.handle;
    this.shape = shape;
  }

  read(): TfTensor {
    return this.group.read(this);
  }

  release(): void {
    this.group.leave(this);
  }
}

class Group {
  readonly handle: Id;
  readonly members: readonly Member[];
  private readonly ops: Ops;
  private readonly destroy: () => void;
  private readonly left = new Set<Member>();
  /** What was read and not asked for yet. */
  private parts: (Id | undefined)[] = [];

  constructor(ops: Ops, operands: readonly Operand[]) {
    this.ops = ops;
    const { handle, destroy } = createVariable(ops, joined(ops, operands), [operands.reduce((sum, { shape }) => sum + sizeOf(shape), 0)]);
    this.handle = handle;
    this.destroy = destroy;
    this.members = operands.map(({ shape }) => new Member(this, shape));
  }

  read(member: Member): TfTensor {
    const { ops, members } = this;
    const at = members.indexOf(member);
    if (this.parts[at] === undefined) {
      this.letGo();
      const whole = ops.run('ReadVariableOp', { dtype: 'float32' }, this.handle);
      const sizes = members.map(({ shape }) => sizeOf(shape));
      const attributes = { T: 'float32', Tlen: 'int32', 'int:num_split': sizes.length };
      this.parts = ops.runMany('SplitV', attributes, [whole, ops.vector(sizes), ops.scalar(0, 'int32')], sizes.length).map(ops.keep);
      ops.free(whole); // the parts share its memory
    }
    const part = this.parts[at]!;
    this.parts[at] = undefined; // the tensor's from now on
    if (member.shape.length === 1) return ops.wrap(part, member.shape, 'float32');
    const shaped = ops.wrap(ops.reshape(part, member.shape), member.shape, 'float32');
    ops.free(part);
    return shaped;
  }

  /** Before the variable is written: only it holds its memory then. */
  letGo(): void {
    for (const part of this.parts) if (part !== undefined) this.ops.free(part);
    this.parts = [];
  }

  leave(member: Member): void {
    this.left.add(member);
    if (this.left.size < this.members.length) return;
    this.letGo();
    this.destroy();
  }
}

/** The variable of all operands, made anew where they are not one yet. `letGo` comes before it is written. */
export function groupOf(ops: Ops, operands: readonly Operand[]): { handle: Id; letGo(): void } {
  const boxes = operands.map(boxOf);
  const first = boxes[0]!.variable;
  let group = first instanceof Member ? first.group : null;
  const isWhole = group?.members.length === operands.length
    && group.members.every((member, index) => boxes[index]!.variable === member && sameShape(member.shape, operands[index]!.shape));
  if (!group || !isWhole) {
    group = new Group(ops, operands);
    group.members.forEach((member, index) => {
      boxes[index]!.release();
      boxes[index]!.variable = member;
    });
  }
  const whole = group;
  return {
    handle: whole.handle,
    letGo() {
      whole.letGo();
      for (const box of boxes) box.letGo();
    },
  };
}
