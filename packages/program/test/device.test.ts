// Which backend trains where the choice is left to the program and the fastest cannot hold the training.
import { createCpuBackend } from '@xmoe/backend-cpu';
import { expect, it } from 'vitest';
import { memoryOf, memoryOfMachine } from '../src/memory-needs.js';
import { openDeviceWithRoom } from '../src/device.js';

const NEEDS = { parameters: 100, activations: 10 }; // 1,640 bytes
/** A machine whose fastest backend holds so much. */
function opener(memoryBytes: number) {
  const opened: string[] = [];
  const open = async (name: string) => {
    opened.push(name);
    const backend = createCpuBackend();
    const limited = { ...backend, name: 'cpu:small', capabilities: { ...backend.capabilities, memoryBytes } };
    return { backend: name === 'cpu:plain' ? backend : limited, reason: 'asked for' };
  };
  return { open, opened };
}
const chosen = async (name: string, memoryBytes: number, needs = NEEDS) => {
  const { open, opened } = opener(memoryBytes);
  const { engine, reason } = await openDeviceWithRoom(open, name, { precision: 'float32' }, needs);
  engine.dispose();
  return { opened, name: engine.backend.name, reason };
};

it.each(['cpu', 'auto'])('%s takes the plain backend where the fastest cannot hold it, and says so', async (name) => {
  expect(await chosen(name, 1640)).toEqual({ opened: [name], name: 'cpu:small', reason: 'asked for' });
  const { opened, reason, ...found } = await chosen(name, 1639);
  expect({ opened, ...found }).toEqual({ opened: [name, 'cpu:plain'], name: 'cpu' });
  expect(reason).toMatch(/slower, but cpu:small holds at most 1\.64kB$/);
});

it('what is named stays, and so does the fastest where no backend of the machine would do', async () => {
  expect((await chosen('cpu:small', 1)).name).toBe('cpu:small');
  expect((await chosen('cpu', 1, { parameters: memoryOfMachine(), activations: 0 })).name).toBe('cpu:small');
});

it('a backend has the memory of the machine, or less', () => {
  const backend = createCpuBackend();
  expect(memoryOf(backend)).toBe(memoryOfMachine());
  expect(memoryOf({ capabilities: { ...backend.capabilities, memoryBytes: 5 } })).toBe(5);
});
