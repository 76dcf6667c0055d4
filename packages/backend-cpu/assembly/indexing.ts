// Kernels that read or add at indices: gatherRows, scatterAddRows, addRows, takeAlongLast, addAlongLast. An index outside the axis reads
// zero and adds nothing.
import { addRun } from './lanes';
import { copyBytes } from './movement';

/** Rows of `bytes` of any dtype. Items are rows of out. */
export function gatherRows(begin: i32, end: i32, x: usize, indices: usize, out: usize, rows: i32, bytes: i32): void {
  for (let i = begin; i < end; i++) {
    const row = load<i32>(indices + (i << 2));
    const to = out + i * bytes;
    if (<u32>row < <u32>rows) copyBytes(to, x + row * bytes, bytes);
    else memory.fill(to, 0, bytes);
  }
}

/**
 * out [rows, columns] += x [count, columns] at the indices, in ascending order for every element. Items are blocks of
 * `width` columns, so threads never share an element.
 */
export function scatterAddRows(
  begin: i32, end: i32, x: usize, indices: usize, out: usize, count: i32, rows: i32, columns: i32, width: i32,
): void {
  const first = begin * width;
  const taken = min(end * width, columns) - first;
  for (let row = 0; row < rows; row++) memory.fill(out + ((row * columns + first) << 2), 0, taken << 2);
  addRows(begin, end, x, indices, out, count, rows, columns, width);
}

/** As scatterAddRows, onto what is there. */
export function addRows(
  begin: i32, end: i32, x: usize, indices: usize, sums: usize, count: i32, rows: i32, columns: i32, width: i32,
): void {
  const first = begin * width;
  const taken = min(end * width, columns) - first;
  const bytes = columns << 2;
  const from = x + (first << 2);
  const to = sums + (first << 2);
  for (let i = 0; i < count; i++) {
    const row = load<i32>(indices + (i << 2));
    if (<u32>row < <u32>rows) addRun(to + row * bytes, from + i * bytes, taken);
  }
}

/** 4-byte elements. Items are rows. */
export function takeAlongLast(begin: i32, end: i32, x: usize, indices: usize, out: usize, columns: i32, taken: i32): void {
  for (let row = begin; row < end; row++) {
    const from = x + ((row * columns) << 2);
    for (let i = row * taken; i < (row + 1) * taken; i++) {
      const column = load<i32>(indices + (i << 2));
      store<i32>(out + (i << 2), <u32>column < <u32>columns ? load<i32>(from + (column << 2)) : 0);
    }
  }
}

/** float32. Items are rows. */
export function addAlongLast(begin: i32, end: i32, x: usize, indices: usize, out: usize, columns: i32, given: i32): void {
  for (let row = begin; row < end; row++) {
    const to = out + ((row * columns) << 2);
    memory.fill(to, 0, columns << 2);
    for (let i = row * given; i < (row + 1) * given; i++) {
      const column = load<i32>(indices + (i << 2));
      if (<u32>column >= <u32>columns) continue;
      store<f32>(to + (column << 2), load<f32>(to + (column << 2)) + load<f32>(x + (i << 2)));
    }
  }
}
