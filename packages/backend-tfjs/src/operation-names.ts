// What TensorFlow.js calls the element-wise operations of the contract. TensorFlow's own library calls three of them otherwise.
import type { BinaryOp, CompareOp, UnaryOp } from '@xmoe/core';

export const UNARY: Record<UnaryOp, string> = {
  negate: 'Neg', abs: 'Abs', sign: 'Sign', exp: 'Exp', log: 'Log', sqrt: 'Sqrt', rsqrt: 'Rsqrt', square: 'Square',
  reciprocal: 'Reciprocal', tanh: 'Tanh', erf: 'Erf', sigmoid: 'Sigmoid', relu: 'Relu', sin: 'Sin', cos: 'Cos',
  floor: 'Floor', ceil: 'Ceil', logicalNot: 'LogicalNot',
};

export const BINARY: Record<BinaryOp, string> = {
  add: 'Add', subtract: 'Sub', multiply: 'Multiply', divide: 'RealDiv', maximum: 'Maximum', minimum: 'Minimum', power: 'Pow',
  floorDivide: 'FloorDiv', remainder: 'Mod', logicalAnd: 'LogicalAnd', logicalOr: 'LogicalOr',
};

export const COMPARE: Record<CompareOp, string> = {
  equal: 'Equal', notEqual: 'NotEqual', less: 'Less', lessEqual: 'LessEqual', greater: 'Greater', greaterEqual: 'GreaterEqual',
};
